// The map of the embeddings: a dot a face, coloured by whose it is; a click tells of the nearest one.

import { element, number } from "./dom.js";
import { COLOURS, SIDE, at, dots, moved, nearest, zoomed } from "./plots.js";
import { ask } from "./server.js";
import { say } from "./words.js";

const REACH = 12; // px that a click may miss by
const STEP = 0.6;
const LISTED = 20; // groups
const ALL = { x: 0, y: 0, side: SIDE };

let map = null;
let view = ALL;
let svg = null;

const address = (template, id) => template.replace(/\/0(?=\/|$)/, `/${id}`);

const named = (group) => group.name || (group.identity ? say("map_person", { id: String(group.identity) }) : say("map_cluster", { id: String(group.cluster) }));
const linked = (root, group) => element("a", { href: group.identity ? address(root.dataset.person, group.identity) : address(root.dataset.cluster, group.cluster) }, named(group));

export async function start(root) {
  const place = root.querySelector("[data-map-drawn]");
  const told = root.querySelector("[data-map-told]");
  try {
    map = await ask(root.dataset.map);
  } catch (error) {
    told.textContent = error.message;
    return;
  }
  if (!map.faces.length) {
    told.textContent = say("map_none");
    return;
  }
  const text = say("map_told", { count: map.faces.length, of: map.of, model: map.model });
  told.textContent = text;
  const ring = element("circle", { r: 0, class: "ring" });
  svg = element("svg", { role: "img", "aria-label": text, class: "dots" }, ...dots(map).map(({ colour, d }) => element("path", { class: colour, d })), ring);
  place.replaceChildren(svg);
  show();
  listen(root, ring);
  root.querySelector("[data-map-groups]").replaceChildren(
    ...map.groups.slice(0, LISTED).map((group, place_) => element("tr", {}, element("th", { scope: "row" }, element("i", { class: `dot c${place_ % COLOURS}` }), linked(root, group)), element("td", { class: "n" }, number(group.faces)))),
  );
}

function show() {
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.side} ${view.side}`);
}

const scale = () => view.side / svg.getBoundingClientRect().width;

function pointOf(event) {
  const box = svg.getBoundingClientRect();
  return [view.x + (event.clientX - box.left) * scale(), view.y + (event.clientY - box.top) * scale()];
}

function listen(root, ring) {
  let from = null;
  let far = false;
  svg.addEventListener("pointerdown", (event) => {
    from = [event.clientX, event.clientY];
    far = false;
    if (view.side < SIDE) svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!from || event.buttons === 0) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    if (Math.abs(dx) + Math.abs(dy) < 4 && !far) return;
    far = true;
    view = moved(view, -dx * scale(), -dy * scale());
    from = [event.clientX, event.clientY];
    show();
  });
  svg.addEventListener("click", (event) => {
    if (far) return;
    const [x, y] = pointOf(event);
    choose(root, ring, nearest(map, x, y, REACH * scale()));
  });
  for (const button of root.querySelectorAll("[data-zoom]")) {
    button.onclick = () => {
      const how = button.dataset.zoom;
      view = how === "all" ? ALL : zoomed(view, how === "in" ? STEP : 1 / STEP);
      show();
      if (ring.getAttribute("r") !== "0") ring.setAttribute("r", 9 * scale());
    };
  }
}

async function choose(root, ring, place) {
  if (place < 0) return;
  const [x, y] = at(map, place);
  for (const [name, value] of Object.entries({ cx: x, cy: y, r: 9 * scale() })) ring.setAttribute(name, value);
  const group = map.groups[map.group[place]];
  const told = root.querySelector("[data-map-chosen]");
  let face;
  try {
    face = await ask(address(root.dataset.face, map.faces[place]));
  } catch (error) {
    told.replaceChildren(element("p", { class: "muted small" }, error.message)); // it was erased since, or the line is lost
    return;
  }
  const name = say("map_face", { id: String(face.id) });
  told.replaceChildren(
    element("a", { class: "face", href: face.address }, element("img", { src: face.crop, alt: name, width: 384, height: 384 })),
    element("p", {}, element("a", { href: face.address }, name), " · ", group ? linked(root, group) : say("map_alone"), group ? element("span", { class: "muted small" }, ` ${say("map_faces", { count: group.faces })}`) : null),
  );
}
