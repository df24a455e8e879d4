// Elements by hand. Text is set as text, so that no name or search term can become markup.

const DRAWN = new Set(["svg", "g", "rect"]);

export function element(tag, attributes = {}, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export const number = (value) => Number(value).toLocaleString("en-GB");

// A photo with the box of one face drawn on it; it scales by its viewBox.
export function photoWithBox(face) {
  const [width, height] = face.photo_size;
  const [x, y, w, h] = face.box;
  const box = element("g", { class: "drawn chosen" }, element("rect", { x, y, width: w, height: h, rx: 2 }));
  return element(
    "figure",
    { class: "photo-shown" },
    element("img", { src: face.photo, width, height, alt: "The whole photo, with the face in a box" }),
    element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, box),
  );
}
