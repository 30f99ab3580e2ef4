// The page: a photograph, where its foreground is, a method, and the result. It asks its own server alone.
import { canvasOf, Editor, fileOf } from "./editor.js";
import { Viewer } from "./viewer.js";

const get = (id) => document.getElementById(id);
const HELP = {
  box: "Drag a box around the foreground: GrabCut cuts out what is in it.",
  scribbles: "Draw on the foreground, and beside it: GrabCut continues the strokes.",
  mask: "A picture of the photograph's size, white on the foreground.",
  trimap: "Bright is foreground, dark background; alpha is found in the half-dark band. Correct it with the brush, or choose a file.",
};
const READ = ["image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff"];

const editor = new Editor(get("editor"), changed), viewer = new Viewer();
let server = null, photo = null, version = 0; // of the trimap, counted up by every change

function say(text, isWrong = false) {
  get("status").textContent = text;
  get("status").classList.toggle("wrong", isWrong);
}

// Do something that takes a while; what goes wrong is said, and the buttons wait meanwhile.
async function work(text, task) {
  const buttons = [get("make"), get("cut")];
  for (const button of buttons) button.disabled = true;
  try {
    if (text) say(text);
    await task();
  } catch (error) {
    say(error.message, true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

async function ask(fields) {
  const form = new FormData();
  form.append("image", photo.file, "image");
  for (const [name, value] of Object.entries(fields)) {
    if (value instanceof Blob) form.append(name, value, name);
    else form.append(name, value);
  }
  const answer = await fetch("matte", { method: "POST", body: form }).catch(() => { throw new Error("the server does not answer"); });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `the server answers ${answer.status}`);
  return { file: await answer.blob(), notes: answer.headers.get("Deepmatte-Warning") ?? "" };
}

// ---- the photograph

async function decode(file, what) {
  return createImageBitmap(file).catch(() => { throw new Error(`this browser cannot read the ${what}; give a PNG or JPEG file`); });
}

async function open(file, name, box = null) {
  let picture = await decode(file, "photograph"), sent = file, note = "";
  const { pixels, bytes } = server.limits, scale = Math.sqrt(pixels / (picture.width * picture.height));
  if (scale < 1 || !READ.includes(file.type) || file.size > 0.7 * bytes) {
    const size = [picture.width, picture.height];
    const [width, height] = size.map((side) => Math.max(1, Math.floor(side * Math.min(1, scale))));
    const canvas = canvasOf(width, height), context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, width, height);
    if (scale < 1) note = `${size.join("x")} pixels, made ${width}x${height}: this server takes ${pixels / 1e6} megapixels.`;
    picture = await createImageBitmap(canvas);
    sent = await fileOf(canvas);
    if (sent.size > 0.7 * bytes) sent = await fileOf(canvas, "image/jpeg", 0.95);
  }
  photo = { file: sent, stem: name.replace(/\.[^.]*$/, "") || "photograph" };
  editor.open(picture, box);
  viewer.open(picture, photo.stem);
  get("photo-note").textContent = note || `${name}, ${picture.width}x${picture.height} pixels`;
  for (const id of ["where", "how"]) get(id).hidden = false;
  choose("box");
  changed();
  say("");
}

function listExamples() {
  get("examples").replaceChildren(...server.examples.map(({ name, title, box }) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(Object.assign(document.createElement("img"), { src: `examples/${name}`, alt: "" }), title);
    button.addEventListener("click", () => work("", async () => {
      const file = await (await fetch(`examples/${name}`)).blob();
      await open(file, name, box);
    }));
    return button;
  }));
}

// ---- where the foreground is

function choose(tool) {
  editor.tool = tool;
  document.querySelector(`input[name="tool"][value="${tool}"]`).checked = true;
  get("help").textContent = HELP[tool];
  get("box-controls").hidden = tool !== "box";
  get("file-controls").hidden = tool !== "mask" && tool !== "trimap";
  get("hint-label").textContent = `Choose a ${tool}`;
  get("brush-controls").hidden = tool !== "scribbles" && tool !== "trimap";
  get("unknown-label").textContent = tool === "scribbles" ? "Erase" : "Unknown";
  get("trimap-controls").hidden = tool === "trimap";
  editor.draw();
}

function changed() {
  version += 1;
  editor.box.forEach((value, i) => { get(`box-${i}`).value = String(value); });
  if (editor.tool !== "trimap") editor.trimap = null; // it was made of something else
}

async function makeTrimap() {
  const tool = editor.tool, given = await editor.field();
  if (given === null) throw new Error(`choose a ${tool} first`);
  const { file } = await ask({ [tool]: given, width: get("width").value, output: "trimap" });
  editor.take("trimap", await decode(file, "trimap"));
  choose("trimap");
}

async function cut() {
  if (!editor.trimap) await makeTrimap();
  const trimap = await editor.field("trimap"), now = version;
  const names = [...new Set([get("first").value, get("second").value].filter(Boolean))];
  viewer.keep(now);
  for (const name of names) {
    say(`${name} is at work …`);
    const begun = performance.now();
    const { file, notes } = await ask({ trimap, method: name, output: "cutout" });
    await viewer.add(name, file, { seconds: (performance.now() - begun) / 1000, notes, version: now });
  }
  say("done");
  get("result").scrollIntoView({ behavior: "smooth", block: "nearest" });
}

// ---- the controls

function connect() {
  get("photo").addEventListener("change", () => {
    const [file] = get("photo").files;
    if (file) work("", () => open(file, file.name));
    get("photo").value = "";
  });
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) work("", () => open(file, file.name));
  });
  for (const input of document.querySelectorAll('input[name="tool"]')) input.addEventListener("change", () => choose(input.value));
  for (const input of document.querySelectorAll('input[name="brush"]')) input.addEventListener("change", () => { editor.brush = input.value; });
  get("size").addEventListener("input", () => { editor.size = Number(get("size").value); });
  get("clear").addEventListener("click", () => editor.clear());
  get("undo").addEventListener("click", () => editor.undo());
  document.addEventListener("keydown", (event) => {
    const undoes = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
    if (!undoes || event.target.type === "number") return; // a number undoes its own typing
    event.preventDefault();
    editor.undo();
  });
  for (let i = 0; i < 4; i++) {
    get(`box-${i}`).addEventListener("change", () => {
      editor.box[i] = Math.round(Number(get(`box-${i}`).value));
      editor.draw();
      changed();
    });
  }
  get("hint-file").addEventListener("change", () => work("", async () => {
    const [file] = get("hint-file").files;
    get("hint-file").value = "";
    if (!file) return;
    editor.take(editor.tool, await decode(file, editor.tool));
    changed();
    say("");
  }));
  get("make").addEventListener("click", () => work("making the trimap …", async () => { await makeTrimap(); say("Correct the trimap if need be, then cut out."); }));
  get("cut").addEventListener("click", () => work("making the trimap …", cut));
  get("theme").addEventListener("click", () => {
    const order = ["", "light", "dark"], now = order[(order.indexOf(document.documentElement.dataset.theme || "") + 1) % 3];
    document.documentElement.dataset.theme = now;
    get("theme").textContent = `Theme: ${now || "system"}`;
  });
}

async function start() {
  connect();
  server = await (await fetch("methods")).json();
  const option = (value, text = value) => Object.assign(document.createElement("option"), { value, textContent: text });
  get("first").append(...server.methods.map((name) => option(name)));
  get("second").append(option("", "nothing"), ...server.methods.map((name) => option(name)));
  listExamples();
}

start();
