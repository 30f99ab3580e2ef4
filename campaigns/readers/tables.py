"""Readers of tables and lists, and of what stands on command lines and in the environment."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from campaigns.inputs import WORDS
from campaigns.readers.reader import Reader, spoilt, strange

KEYS = (
    *("loss", "seed", "loss.alpha.weight", "data", "new", "stages", "trainer", "trainer.devices", "model"),
    *("hydra", "hydra/launcher", "loss@data", "experiments", "budget", "callbacks", "optimizer.lr", "name"),
)
VALUES = (
    *("2", "1.5", "[1]", "[null]", "[]", "{}", "{a: 1}", "[[a]]", "'2'", "alpha", "[alpha,dim]", "_self_"),
    *("a,b", "1,2", "null,alpha", "range(3)", "interval(0,1)", "glob(*)", "choice(1,2)", "shuffle(a,b)"),
    *("tag(x,choice(a))", "str(2)", "int(a)", "extend_list(1)", "..", "../loss", "a/b", "???", "${x}"),
)
"""Values of Hydra's grammar, most of them of another kind than the key's."""


def tables(folder: Path) -> dict[str, Reader]:
    """Return what reads tables and lists."""
    from deepmatte.compare.records.csv_scores import read_score_files
    from deepmatte.data.sources.splits import read_lines, read_names

    table = {
        "protocol": "adobe",
        "mean": {"sad": 1.0},
        "images": [{"image": "a", "sad": 1.0}, {"image": "b", "sad": 2}],
    }
    return {
        "scores.json": strange("scores.json", table, lambda run: read_score_files([run / "scores.json"])),
        "scores.csv": spoilt(
            "scores.csv",
            [b"image,protocol,sad,mse\na,adobe,1.5,2\nb,adobe,2.5,3\n"],
            lambda run: read_score_files([run / "scores.csv"]),
        ),
        "names": spoilt(
            "names.txt",
            [b"a.png\nfolder/b.jpg\n", "\ufeffé\n".encode()],
            lambda run: read_lines(run / "names.txt", "--names"),
            lambda run: read_names(run / "names.txt", "--names"),
            share=0.5,
        ),
    }


def words() -> dict[str, Reader]:
    """Return what reads command lines and the environment."""
    from deepmatte.config.compose import compose
    from deepmatte.runs.context import CONTEXT, SweepContext

    def text(folder: Path) -> str:
        return next(folder.glob("word*")).read_bytes().decode(errors="surrogateescape")

    context = {"parent": 3, "run": "/a", "launcher": {"host": "a", "pid": 1, "stop_file": "b"}, "gpus": ["0"]}
    override = st.builds(
        lambda sign, key, value: f"{sign}{key}={value}".encode(errors="surrogatepass"),
        st.sampled_from(["", "", "", "+", "++", "~"]),
        st.sampled_from(KEYS),
        st.one_of(st.sampled_from([*WORDS, *VALUES]), st.text(max_size=12)),
    )
    return {
        "context": strange(
            "word.json", context, lambda folder: SweepContext.read({CONTEXT: text(folder)}), share=0.5
        ),
        "override": Reader(
            "word.txt",
            (b"loss=alpha",),
            (lambda folder: compose("train", [text(folder)]),),
            override,
            share=0.2,
        ),
    }
