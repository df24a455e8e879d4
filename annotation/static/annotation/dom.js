// Elements by hand. Text is set as text, so that no name or search term can become markup.

const DRAWN = new Set(["svg", "g", "rect", "line", "path", "circle", "text", "title"]);

export function element(tag, attributes = {}, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const number = (value) => Number(value).toLocaleString(document.documentElement.lang);

// A face with as much around it as it is wide, cut from the whole photo at its full resolution.
export function largerCrop(face, alt) {
  const [width, height] = face.photo_size;
  const [x, y, w, h] = face.box;
  const side = Math.min(2 * Math.max(w, h), width, height);
  const left = Math.min(Math.max(x + w / 2 - side / 2, 0), width - side);
  const top = Math.min(Math.max(y + h / 2 - side / 2, 0), height - side);
  const picture = element("img", { src: face.photo, alt });
  Object.assign(picture.style, { width: `${(100 * width) / side}%`, height: `${(100 * height) / side}%`, left: `${(-100 * left) / side}%`, top: `${(-100 * top) / side}%` });
  return element("figure", { class: "larger" }, picture);
}

// A photo with the box of one face drawn on it; it scales by its viewBox.
export function photoWithBox(face, alt) {
  const [width, height] = face.photo_size;
  const [x, y, w, h] = face.box;
  const box = element("g", { class: "drawn chosen" }, element("rect", { x, y, width: w, height: h, rx: 2 }));
  return element(
    "figure",
    { class: "photo-shown" },
    element("img", { src: face.photo, width, height, alt }),
    element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, box),
  );
}

const HELD = 450; // ms

// What a finger does that rests on a button; the click that ends it means nothing. Call it before others listen.
export function whenHeld(button, act) {
  let [timer, held] = [0, false];
  button.addEventListener("pointerdown", (event) => {
    held = false;
    if (event.pointerType === "touch") timer = setTimeout(() => {
      held = true;
      act();
    }, HELD);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(end, () => clearTimeout(timer));
  button.addEventListener("contextmenu", (event) => event.pointerType === "touch" && event.preventDefault());
  button.addEventListener("click", (event) => held && event.detail > 0 && event.stopImmediatePropagation());
}
