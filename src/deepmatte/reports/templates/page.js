"use strict";
// Theme: system, light, dark in turn.
const theme = document.getElementById("theme");
theme.addEventListener("click", () => {
  const order = ["", "light", "dark"];
  const now = order[(order.indexOf(document.documentElement.dataset.theme || "") + 1) % 3];
  document.documentElement.dataset.theme = now;
  theme.textContent = "Theme: " + (now || "system");
});

// Tables: a click on a heading sorts by it, numbers as numbers, unknown ones last; the filter hides rows of all tables.
function value(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text);
  return text !== "" && !Number.isNaN(number) ? number : text;
}
function compareValues(a, b) {
  const unknown = (item) => item === "-" || item === "nan" || item === "None";
  if (unknown(a) || unknown(b)) return unknown(a) - unknown(b);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}
for (const button of document.querySelectorAll("table.sortable thead button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th"), table = heading.closest("table"), column = heading.cellIndex;
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows];
    const last = (row) => ["-", "nan", "None"].includes(String(value(row, column)));
    rows.sort((a, b) => last(a) - last(b) || (down ? -1 : 1) * compareValues(value(a, column), value(b, column)));
    table.tBodies[0].append(...rows);
  });
}
const filter = document.getElementById("filter");
function applyFilter() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of document.querySelectorAll("table.filtered tbody tr")) {
    const text = [...row.querySelectorAll("th")].map((cell) => cell.textContent).join(" ").toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  const rows = [...document.querySelectorAll("#ranking-table tbody tr")];
  document.getElementById("shown").textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} settings` : "";
  if (typeof drawTiles === "function") drawTiles();
}
filter.addEventListener("input", applyFilter);

// Gallery: every view is drawn from image, true alpha and matte.
var drawTiles;
const store = document.getElementById("gallery-data");
if (store) {
  const data = JSON.parse(store.textContent);
  const get = (id) => document.getElementById(id);
  const loaded = new Map();
  const load = (source) => {
    if (!loaded.has(source)) {
      loaded.set(source, new Promise((resolve) => { const image = new Image(); image.onload = () => resolve(image); image.src = source; }));
    }
    return loaded.get(source);
  };
  const pixels = (image) => {
    const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height);
  };
  const current = () => data.pictures[Number(get("picture").value)];
  // which: "image", "alpha" or the number of a run
  async function draw(canvas, which) {
    const picture = current(), mode = get("mode").value;
    const source = which === "image" ? picture.image : which === "alpha" ? picture.alpha : picture.mattes[Number(which)];
    const ticket = (canvas.ticket = {});
    const [shown, image, truth] = await Promise.all([load(source), load(picture.image), load(picture.alpha)]);
    if (canvas.ticket !== ticket) return; // a later choice overtook this one
    canvas.width = shown.width;
    canvas.height = shown.height;
    const context = canvas.getContext("2d");
    context.drawImage(shown, 0, 0);
    if (which === "image" || mode === "matte" || (mode === "error" && which === "alpha")) return;
    const out = pixels(shown), colours = pixels(image).data, alpha = pixels(truth).data;
    const plain = [1, 3, 5].map((at) => parseInt(get("colour").value.slice(at, at + 2), 16));
    for (let i = 0; i < out.data.length; i += 4) {
      const matte = out.data[i];
      if (mode === "error") {
        const error = Math.min(255, 2 * Math.abs(matte - alpha[i])), over = matte > alpha[i];
        out.data[i] = 255 - (over ? 0 : error);
        out.data[i + 1] = 255 - error;
        out.data[i + 2] = 255 - (over ? error : 0);
      } else {
        for (let c = 0; c < 3; c++) out.data[i + c] = (matte * colours[i + c] + (255 - matte) * plain[c]) / 255;
      }
    }
    context.putImageData(out, 0, 0);
  }
  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
  function listPictures() {
    const key = get("order").value;
    const order = data.pictures.map((picture, number) => number).sort((a, b) => data.pictures[b][key] - data.pictures[a][key]);
    get("picture").replaceChildren(...order.map((number) => option(number, data.pictures[number].name)));
    drawAll();
  }
  drawTiles = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean), tiles = [];
    const add = (which, text) => {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas"), caption = document.createElement("figcaption");
      caption.textContent = text;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", text);
      figure.append(canvas, caption);
      tiles.push(figure);
      draw(canvas, which);
    };
    add("image", "input");
    add("alpha", "truth");
    data.runs.forEach((run, number) => {
      if (!words.every((word) => run.setting.toLowerCase().includes(word))) return;
      const score = current().scores[number];
      add(String(number), run.name + (score === null ? "" : `: ${data.metric} ${score.toPrecision(4)}`));
    });
    get("tiles").replaceChildren(...tiles);
  };
  function drawSlider() {
    draw(get("under"), get("right").value);
    draw(get("over"), get("left").value);
    get("over").style.clipPath = `inset(0 ${100 - get("slide").value}% 0 0)`;
  }
  function drawAll() { drawTiles(); drawSlider(); }
  for (const side of ["left", "right"]) {
    get(side).append(option("alpha", "truth"), option("image", "input"), ...data.runs.map((run, number) => option(number, run.name)));
    get(side).addEventListener("change", drawSlider);
  }
  get("left").value = "0";
  const other = data.runs.findIndex((run) => run.setting !== data.runs[0].setting);
  get("right").value = other < 0 ? "alpha" : String(other);
  get("slide").addEventListener("input", drawSlider);
  get("order").addEventListener("change", listPictures);
  for (const id of ["picture", "mode", "colour"]) get(id).addEventListener("change", drawAll);
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    get(id).addEventListener("click", () => {
      const select = get("picture");
      select.selectedIndex = (select.selectedIndex + step + select.options.length) % select.options.length;
      drawAll();
    });
  }
  listPictures();
}
