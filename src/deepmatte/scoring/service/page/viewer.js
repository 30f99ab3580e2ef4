// Results side by side: cut-outs on a background, or mattes, with a border that moves.
import { canvasOf, fileOf } from "./editor.js";

const get = (id) => document.getElementById(id);
const PHOTOGRAPH = "the photograph";

function option(name) {
  return Object.assign(document.createElement("option"), { value: name, textContent: name });
}

function save(file, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(file), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

export class Viewer {
  constructor() {
    this.results = new Map(); // by method: { file, picture, matte, seconds, notes, version }
    this.behind = null;
    for (const id of ["view", "colour", "left", "right"]) get(id).addEventListener("input", () => this.draw());
    get("slide").addEventListener("input", () => this.slide());
    get("background").addEventListener("change", async () => {
      const [file] = get("background").files;
      if (file) this.behind = await createImageBitmap(file).catch(() => null);
      this.draw();
    });
    const slider = get("over").parentElement;
    const drag = (event) => {
      if (!(event.buttons & 1)) return;
      const area = slider.getBoundingClientRect();
      get("slide").value = String((100 * (event.clientX - area.left)) / area.width);
      this.slide();
    };
    slider.addEventListener("pointerdown", (event) => { slider.setPointerCapture(event.pointerId); drag(event); });
    slider.addEventListener("pointermove", drag);
  }

  open(photo, stem) {
    this.photo = photo;
    this.stem = stem;
    this.results.clear();
    this.list();
  }

  // Forget what was made of another trimap.
  keep(version) {
    for (const [name, result] of this.results) if (result.version !== version) this.results.delete(name);
  }

  async add(name, file, more) {
    const picture = await createImageBitmap(file), matte = canvasOf(picture.width, picture.height);
    const context = matte.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, matte.width, matte.height), data = pixels.data;
    for (let i = 0; i < data.length; i += 4) {
      data[i] = data[i + 1] = data[i + 2] = data[i + 3];
      data[i + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
    this.results.set(name, { file, picture, matte, ...more });
    this.list();
  }

  list() {
    const names = [...this.results.keys()];
    get("shown").hidden = names.length === 0;
    get("empty").hidden = names.length > 0;
    for (const side of ["left", "right"]) get(side).replaceChildren(...names.map(option), option(PHOTOGRAPH));
    if (names.length === 0) return;
    get("left").value = names[0];
    get("right").value = names[1] ?? PHOTOGRAPH;
    get("downloads").replaceChildren(...names.map((name) => this.row(name)));
    this.draw();
  }

  row(name) {
    const row = document.createElement("li"), result = this.results.get(name), ending = this.results.size > 1 ? `_${name}` : "";
    const add = (tag, text, kind) => row.append(Object.assign(document.createElement(tag), { textContent: text, className: kind }));
    add("span", `${name}, ${result.seconds.toFixed(1)} s`, "name");
    const files = {
      "Cut-out": ["cutout", () => result.file],
      Matte: ["alpha", () => fileOf(result.matte)],
      "As shown": ["composite", () => fileOf(this.drawn(canvasOf(this.photo.width, this.photo.height), name))],
    };
    for (const [text, [kind, make]] of Object.entries(files)) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: `\u2193 ${text}` });
      button.setAttribute("aria-label", `Download ${name}: ${text}`);
      button.addEventListener("click", async () => save(await make(), `${this.stem}_${kind}${ending}.png`));
      row.append(button);
    }
    if (result.notes) add("span", result.notes, "small");
    return row;
  }

  draw() {
    if (this.results.size === 0) return;
    const view = get("view").value;
    get("colour-control").hidden = view !== "colour";
    get("picture-control").hidden = view !== "picture";
    this.drawn(get("over"), get("left").value);
    this.drawn(get("under"), get("right").value);
    this.slide();
  }

  drawn(canvas, name) {
    const { width, height } = this.photo, context = canvas.getContext("2d"), result = this.results.get(name);
    Object.assign(canvas, { width, height });
    if (!result) context.drawImage(this.photo, 0, 0);
    else if (get("view").value === "matte") context.drawImage(result.matte, 0, 0);
    else {
      this.drawBehind(context, width, height);
      context.drawImage(result.picture, 0, 0);
    }
    return canvas;
  }

  drawBehind(context, width, height) {
    const view = get("view").value;
    if (view === "picture" && this.behind) {
      const { width: wide, height: high } = this.behind, scale = Math.max(width / wide, height / high);
      context.drawImage(this.behind, (width - wide * scale) / 2, (height - high * scale) / 2, wide * scale, high * scale);
      return;
    }
    context.fillStyle = view === "colour" ? get("colour").value : "#ffffff";
    context.fillRect(0, 0, width, height);
    if (view === "colour") return;
    const side = Math.max(4, Math.round(Math.max(width, height) / 50));
    context.fillStyle = "#c8c8c8";
    for (let y = 0; y * side < height; y++) {
      for (let x = y % 2; x * side < width; x += 2) context.fillRect(x * side, y * side, side, side);
    }
  }

  slide() {
    const value = Number(get("slide").value);
    get("over").style.clipPath = `inset(0 ${100 - value}% 0 0)`;
    get("line").style.left = `${value}%`;
  }
}
