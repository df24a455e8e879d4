// The annotate page: questions come ahead of time with their pictures, answers leave behind, nothing waits for the line.

import { element, number, photoWithBox } from "./dom.js";
import { isField, listen } from "./keys.js";
import { Marks, WORDS } from "./marks.js";
import { columnsOf, columnsThatFit, moved } from "./moves.js";
import { Outbox } from "./outbox.js";
import { inWords, Pace } from "./pace.js";
import { Past } from "./past.js";
import { ask, Offline } from "./server.js";

const AHEAD = 10; // the one on show and those whose pictures are loaded meanwhile
const RENEW = 120_000; // ms; a lease holds five minutes
const LOOK_AGAIN = 10_000; // ms, while there is nothing to answer

const page = document.getElementById("annotate");
const at = (id) => document.getElementById(id);
const { user, kind, api } = page.dataset;

const queue = []; // questions that were fetched and not shown yet
const done = new Set(); // ids of those answered here, which the server may still hand out
const past = new Past();
const pace = new Pace();
const landed = new Map(); // client id -> resolves once the server has the answer, or refused it
let shown = null; // { question, marks, at, current }
let tally = { answered_today: Number(at("answered").textContent), open: Number(at("left").textContent), skipped: 0 };
let looking = false;
let rested = false; // somebody goes on without a break

const outbox = new Outbox({
  storage: localStorage,
  prefix: `dager.answer.${user}.`,
  send: (answer) => ask(`${api}/questions/${answer.question}/answer`, { method: "POST", body: { client_id: answer.client_id, content: answer.content, elapsed_ms: answer.elapsed_ms } }),
  told: {
    kept: (answer, kept) => {
      past.kept(answer.client_id, kept.id);
      settle(answer);
      refill();
    },
    refused: (answer, error) => {
      past.forget(answer.client_id);
      settle(answer);
      tell(error.message, true);
      refill();
    },
    lost: (error) => tell(error instanceof Offline ? "The line is lost. Answers are kept here and sent once it is back." : `${error.message} Answers are kept here; load the page again if this stays.`, true),
    waiting: (count) => {
      at("unsent").hidden = count < 2;
      at("unsent").textContent = `${count} not sent yet`;
    },
  },
});

function settle(answer) {
  landed.get(answer.client_id)?.();
  landed.delete(answer.client_id);
}

// ---- questions in

async function refill() {
  if (looking) return;
  looking = true;
  try {
    const here = [...(shown ? [shown.question] : []), ...queue].map((each) => each.id);
    const answer = await ask(`${api}/questions/next?ahead=${AHEAD}&known=${here.join(",")}${kind ? `&kind=${kind}` : ""}`);
    const known = new Set([...here, ...queue.map((each) => each.id), shown?.question.id, ...done]);
    const unsent = outbox.waiting.filter((each) => each.content.verdict !== "skip").length;
    tally = { ...answer.tally, open: answer.tally.open - unsent, answered_today: answer.tally.answered_today + unsent };
    for (const question of answer.questions.filter((each) => !known.has(each.id))) {
      queue.push(question);
      preload(question);
    }
    count();
    if (!shown) next();
  } catch (error) {
    if (!shown) tell(error.message, true);
  } finally {
    looking = false;
  }
}

function preload(question) {
  const faces = [...question.faces, ...question.people.flatMap((person) => person.faces)];
  question.pictures = faces.map((face) => {
    const picture = new Image();
    picture.src = face.crop;
    return picture;
  });
}

function next() {
  const question = queue.shift();
  if (question) show(question);
  else clear();
  if (queue.length <= AHEAD / 2) refill();
}

function clear() {
  shown = null;
  at("question").hidden = true;
  at("keys").hidden = past.length === 0; // the last answer can be undone all the same
  for (const part of at("keys").querySelectorAll("[data-for]")) part.hidden = true;
  at("empty").hidden = false;
  at("ask").textContent = "Nothing to answer";
  at("about").textContent = "";
  at("bring-back").hidden = !tally.skipped;
  document.title = "Annotate · DAGER";
}

// ---- a question on show

function show(question, said = null) {
  const { kind: of } = question;
  const inGrid = of === "cluster" || of === "grid" || of === "record";
  const parts = new Set([of]);
  if (of === "value" && !question.values.length) parts.add("years");
  else if (of === "value" || (of === "grid" && question.values.length > 2)) parts.add("choices");
  shown = { question, marks: new Marks(question.faces.map((face) => face.id), said ?? {}), at: performance.now(), current: 0 };
  at("empty").hidden = true;
  at("question").hidden = at("keys").hidden = false;
  at("question").classList.toggle("of-pair", of !== "cluster");
  at("grid").hidden = !inGrid;
  at("pair").hidden = of !== "pair";
  at("single").hidden = of !== "value";
  at("known").hidden = true;
  for (const group of document.querySelectorAll("#keys [data-for]")) group.hidden = !group.dataset.for.split(" ").some((part) => parts.has(part));
  const help = parts.has("years") ? "years" : of;
  for (const section of document.querySelectorAll("#help [data-for]")) section.hidden = section.dataset.for !== help;
  at("name").value = said?.name ?? "";
  at("other-label").textContent = of === "grid" ? `Not ${question.value}` : of === "record" ? "Somebody else" : "Does not belong";
  choices(question);
  if (of === "cluster") showCluster(question);
  else if (of === "grid") showGrid(question);
  else if (of === "record") showRecord(question);
  else if (of === "value") showSingle(question, said);
  else showPair(question);
  count();
  document.title = `${at("ask").textContent} · DAGER`;
  window.scrollTo(0, 0);
}

function showCluster(question) {
  const [person] = question.people;
  at("ask").textContent = person ? `Is this ${person.name || `person ${person.id}`}, too?` : "Are these one person?";
  at("about").textContent = "Mark the faces that do not belong, then confirm the rest.";
  showKnown(person);
  at("name").placeholder = person?.name ?? "";
  at("terms").replaceChildren(...listed("Search terms", question.queries, true));
  at("from").replaceChildren(...listed("Sources", question.sources, false));
  lay(question);
}

function showKnown(person, facts = {}) {
  at("known").hidden = !person?.faces.length;
  at("known").replaceChildren();
  if (person) {
    at("known").append(
      element("p", {}, element("strong", {}, person.name || `Person ${person.id}`), element("br"), element("span", { class: "muted small" }, `${number(person.face_count)} faces known`)),
      element("div", { class: "faces" }, ...person.faces.map((face) => element("img", { src: face.crop, alt: facts[face.id] ?? "A known face", title: facts[face.id], width: 384, height: 384 }))),
    );
  }
}

function showRecord(question) {
  const [person] = question.people;
  at("ask").textContent = "Are these the right person, and the right dates?";
  at("about").textContent = `${question.reason} Mark what is wrong, then confirm the rest.`;
  const shownBelow = new Set(question.faces.map((face) => face.id));
  showKnown({ ...person, faces: person.faces.filter((face) => !shownBelow.has(face.id)) }, question.facts);
  lay(question);
}

function showGrid(question) {
  at("ask").textContent = `Which of these are not ${question.value}?`;
  at("about").textContent = question.values.length > 2 ? "Mark those that are not, if you can by the number of what they are; then confirm the rest." : "Mark those that are not, then confirm the rest.";
  lay(question);
}

function lay(question) {
  at("grid").replaceChildren(...question.faces.map((face, index) => element("li", {}, tile(face, index))));
  question.faces.forEach((_, index) => paint(index));
  label();
  fit();
  focus(0);
  tell("");
  hear(`${at("ask").textContent} ${question.faces.length} faces.`);
}

// One key for each value: of the one face on show, or of the one that is marked in a grid.
function choices(question) {
  const buttons = question.values.map((value, index) => {
    const button = element("button", { type: "button", "data-key": String(index + 1), "data-value": value }, element("span", {}, value[0].toUpperCase() + value.slice(1)), " ", element("kbd", {}, String(index + 1)));
    if (question.kind === "grid") button.disabled = value === question.value;
    return button;
  });
  at("choices").replaceChildren(...buttons);
}

function showSingle(question, said) {
  const [face] = question.faces;
  const years = !question.values.length;
  at("ask").textContent = years ? "How old does this person look?" : `Which ${question.attribute.replace("_", " ")} is this?`;
  at("about").textContent = years ? "Type the years; your first impression counts." : question.reason;
  at("single").replaceChildren(plain(face, 0));
  at("years").value = said?.value ?? "";
  if (years) at("years").focus({ preventScroll: true });
  else at("ask").focus({ preventScroll: true });
  tell("");
  hear(at("ask").textContent);
}

// As large as the screen allows, so that all can be taken in without scrolling.
function fit() {
  if (!shown || at("grid").hidden) return;
  const grid = at("grid");
  const room = window.innerHeight - grid.getBoundingClientRect().top - window.scrollY - at("keys").offsetHeight - 24;
  grid.style.setProperty("--columns", columnsThatFit(shown.question.faces.length, grid.clientWidth, room, { most: Math.max(260, innerWidth / 8) }));
}

function tile(face, index) {
  const button = element(
    "button",
    { type: "button", class: "tile", "aria-pressed": "false", tabindex: -1, "data-index": index },
    element("img", { src: face.crop, alt: "", width: 384, height: 384, draggable: "false" }),
    element("span", { class: "mark" }),
    shown.question.facts?.[face.id] ? element("span", { class: "facts" }, shown.question.facts[face.id]) : null,
  );
  button.addEventListener("click", () => {
    focus(index);
    mark("other");
  });
  button.addEventListener("focus", () => current(index));
  return button;
}

function listed(title, counts, asName) {
  if (!counts.length) return [];
  const chips = counts.slice(0, 8).map(([text, count]) => {
    const chip = element(asName ? "button" : "span", asName ? { type: "button", class: "chip", title: "Use it as the name" } : { class: "chip" }, `${text} `, element("b", {}, number(count)));
    if (asName) chip.addEventListener("click", () => (at("name").value = text));
    return chip;
  });
  return [element("h2", {}, title), element("p", { class: "chips" }, ...chips)];
}

function showPair(question) {
  at("ask").textContent = "Are these two people one?";
  at("about").textContent = "Compare the faces of both.";
  at("known").hidden = true;
  const sides = question.people.map((person) =>
    element(
      "section",
      { class: "card", "aria-label": person.name || `Person ${person.id}` },
      element("h2", {}, person.name || `Person ${person.id}`, " ", element("span", { class: "muted small" }, `${number(person.face_count)} face${person.face_count === 1 ? "" : "s"}`)),
      element("ul", { class: "faces" }, ...person.faces.map((face, index) => element("li", {}, plain(face, index)))),
    ),
  );
  at("pair").replaceChildren(...sides);
  at("ask").focus({ preventScroll: true });
  tell("");
  hear(at("ask").textContent);
}

function plain(face, index) {
  const button = element("button", { type: "button", class: "plain-face", "aria-label": `Face ${index + 1}: zoom` }, element("img", { src: face.crop, alt: "", width: 384, height: 384 }));
  button.addEventListener("click", () => zoom(face));
  return button;
}

// ---- marks

const tiles = () => [...at("grid").querySelectorAll(".tile")];

function current(index) {
  shown.current = index;
  tiles().forEach((each, place) => {
    each.tabIndex = place === index ? 0 : -1;
    each.classList.toggle("current", place === index);
  });
}

function focus(index) {
  current(index);
  tiles()[index]?.focus({ preventScroll: true });
  tiles()[index]?.scrollIntoView({ block: "nearest" });
}

function paint(index) {
  const face = shown.question.faces[index];
  const said = shown.marks.of(face.id);
  const button = tiles()[index];
  const about = [`Face ${index + 1} of ${shown.question.faces.length}`, shown.question.facts?.[face.id], face.query && `found under ${face.query}`, said && `marked: ${word(said)}`];
  button.setAttribute("aria-pressed", String(Boolean(said)));
  button.setAttribute("aria-label", about.filter(Boolean).join(", "));
  button.querySelector(".mark").textContent = said ? word(said) : "";
}

function word(said) {
  return said === "other" && shown.question.kind === "grid" ? `not ${shown.question.value}` : WORDS[said] ?? said;
}

function mark(reason) {
  const face = shown.question.faces[shown.current];
  const said = shown.marks.toggle(face.id, reason);
  paint(shown.current);
  label();
  hear(said ? `Face ${shown.current + 1}: ${word(said)}. ${shown.marks.belonging} belong.` : `Face ${shown.current + 1} belongs.`);
}

function label() {
  const { marks, question } = shown;
  const count = marks.belonging;
  if (question.kind === "record") {
    at("confirm-label").textContent = count === question.faces.length ? "All are right" : count ? `The other ${count} are right` : "None is right";
    return;
  }
  if (question.kind === "grid") {
    at("confirm-label").textContent = count === question.faces.length ? `All ${count} are ${question.value}` : count ? `The other ${count} are ${question.value}` : `None is ${question.value}`;
    return;
  }
  at("confirm-label").textContent = count === question.faces.length ? `All ${count} are one person` : count ? `The other ${count} are one person` : "None belongs";
  const split = at("keys").querySelector("[data-do=split]");
  split.disabled = !marks.others;
  split.setAttribute("aria-pressed", String(marks.markedAreOne));
}

function count() {
  at("answered").textContent = number(tally.answered_today);
  at("left").textContent = number(Math.max(0, tally.open));
  at("keys").querySelector("[data-do=undo]").disabled = past.length === 0;
  const [perMinute, left] = [pace.perMinute(Date.now()), pace.minutesLeft(tally.open, Date.now())];
  at("pace").textContent = left === null ? "" : `, at ${number(Math.round(perMinute))} a minute about ${inWords(left)}`;
  at("rest").hidden = rested || !pace.wantsBreak(Date.now());
}

function tell(text, bad = false) {
  at("told").textContent = text;
  at("told").classList.toggle("bad", bad);
}

// For those who listen: what the eye sees anyway.
function hear(text) {
  at("heard").textContent = text;
}

// ---- answers out

function answer(content) {
  const entry = { client_id: crypto.randomUUID(), question: shown.question.id, content, elapsed_ms: Math.round(performance.now() - shown.at), at: Date.now() };
  done.add(shown.question.id);
  const arrival = new Promise((resolve) => landed.set(entry.client_id, resolve));
  past.push({ clientId: entry.client_id, answerId: null, question: shown.question, content, arrival });
  if (content.verdict !== "skip") {
    tally.answered_today += 1;
    tally.open -= 1;
    pace.answered(entry.at);
  } else tally.skipped += 1;
  shown = null;
  next();
  outbox.put(entry);
}

async function undo() {
  const entry = past.pop();
  if (!entry) return;
  count();
  let question = entry.question;
  if (!outbox.take(entry.clientId)) {
    try {
      await entry.arrival;
      if (entry.answerId === null) return; // the server refused it: there is nothing to take back
      question = (await ask(`${api}/answers/${entry.answerId}/undo`, { method: "POST" })).question;
    } catch (error) {
      if (error instanceof Offline) past.push(entry);
      count();
      tell(error.message, true);
      return;
    }
  }
  if (entry.content.verdict !== "skip") {
    tally.answered_today -= 1;
    tally.open += 1;
    pace.takenBack();
  }
  done.delete(entry.question.id);
  if (!question) {
    count();
    tell("Taken back. The clusters have changed since, so it is not asked again.");
    return;
  }
  if (shown) queue.unshift(shown.question);
  const again = queue.findIndex((each) => each.id === question.id);
  if (again >= 0) queue.splice(again, 1);
  show(question, entry.content);
  tell("Taken back. Answer it again.");
}

const actions = {
  other: () => mark("other"),
  wrong_date: () => mark("wrong_date"),
  not_a_face: () => mark("not_a_face"),
  cannot_tell: () => mark("cannot_tell"),
  split: () => {
    const one = shown.marks.toggleSplit();
    label();
    hear(one ? "Those marked as somebody else are one other person." : "Those marked are not taken for one person.");
  },
  no_face: () => answer({ verdict: "not_a_face" }),
  zoom: () => zoom(shown.question.faces[shown.current]),
  name: () => at("name").focus(),
  confirm: () => answer(shown.marks.content(shown.question.kind === "cluster" ? "one_person" : "marked", at("name").value)),
  same: () => answer({ verdict: "same" }),
  different: () => answer({ verdict: "different" }),
  unknown: () => answer({ verdict: "cannot_tell" }),
  skip: () => {
    at("why").returnValue = "";
    at("why").showModal();
  },
  help: () => at("help").showModal(),
  undo,
};

function zoom(face) {
  at("zoomed").replaceChildren(photoWithBox(face));
  at("zoom").showModal();
}

at("keys").addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button && (shown || button.dataset.do === "undo")) actions[button.dataset.do]();
});
at("choices").addEventListener("click", (event) => {
  const button = event.target.closest("[data-value]");
  if (!button || !shown) return;
  if (shown.question.kind === "grid") mark(button.dataset.value);
  else answer({ verdict: "value", value: button.dataset.value });
});
at("guess").addEventListener("submit", (event) => {
  event.preventDefault();
  if (shown) answer({ verdict: "value", value: Number(at("years").value) });
});
at("naming").addEventListener("submit", (event) => {
  event.preventDefault();
  if (shown) actions.confirm();
});
at("name").addEventListener("keydown", (event) => {
  if (event.key === "Escape") focus(shown.current);
});
at("zoom").addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "z") return;
  event.preventDefault(); // or the same key would open it again
  at("zoom").close();
});
at("why").addEventListener("close", () => {
  const reason = at("why").returnValue; // none: the dialog was left by Escape
  if (shown && reason) answer({ verdict: "skip", reason: reason === "none_given" ? "" : reason });
});
at("rested").addEventListener("click", () => {
  rested = true;
  count();
});
listen(at("why"));
listen(at("help"));
listen(at("keys"), (target) => target.classList.contains("tile") || target.classList.contains("plain-face"));
document.addEventListener("keydown", (event) => {
  if (!shown || at("grid").hidden || isField(event.target) || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const all = tiles();
  const place = moved(shown.current, event.key, all.length, columnsOf(all.map((each) => each.parentElement)));
  if (place === null) return;
  event.preventDefault();
  focus(place);
});

window.addEventListener("resize", fit);
window.addEventListener("online", () => outbox.flush());
window.addEventListener("pagehide", () => {
  // Answers that have not left yet still need their leases.
  if (!outbox.waiting.length) ask(`${api}/questions/give-back`, { method: "POST", keepalive: true }).catch(() => {});
});
window.addEventListener("pageshow", (event) => event.persisted && refill());
setInterval(() => document.hidden || refill(), RENEW);
setInterval(() => document.hidden || shown || refill(), LOOK_AGAIN);

outbox.flush();
refill().then(() => {
  if (!shown) clear();
});
