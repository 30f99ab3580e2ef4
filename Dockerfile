# deepmatte on a CPU. NOT BUILT YET: where this file was written there is no container engine, so its first build
# is a test of it.
#
#   docker build --tag deepmatte .
#   docker run --rm --user "$(id -u)" --volume "$PWD:/runs" deepmatte train loss=dice
#
# For GPUs: --build-arg TORCH="torch>=2.6" --build-arg TORCH_INDEX=, and `docker run --gpus all … train trainer=gpu`.
FROM python:3.13-slim

# OpenCV loads these libraries; git is what a run asks for the commit that it records.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git libgl1 libglib2.0-0 libxcb1 \
 && rm -rf /var/lib/apt/lists/*

ARG TORCH="torch==2.13.0"
ARG TORCH_INDEX="https://download.pytorch.org/whl/cpu"
ENV PIP_NO_CACHE_DIR=1 PIP_EXTRA_INDEX_URL=${TORCH_INDEX}
RUN pip install "${TORCH}"

COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
COPY conf /build/conf
COPY experiments /build/experiments
RUN pip install "/build[joblib,optuna,pretrained,serve]" && rm -rf /build

# Runs, caches and W&B's files go to the mounted folder, whoever the user is.
ENV HOME=/tmp XDG_CACHE_HOME=/runs/.cache PIP_EXTRA_INDEX_URL=
WORKDIR /runs
ENTRYPOINT ["deepmatte"]
CMD ["--help"]
