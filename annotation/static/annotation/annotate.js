// The annotate page: questions come ahead of time with their pictures, answers leave behind, nothing waits for the line.

import { element, largerCrop, photoWithBox, whenHeld } from "./dom.js";
import { isField, listen } from "./keys.js";
import { Marks } from "./marks.js";
import { columnsOf, columnsThatFit, moved, movedAmong } from "./moves.js";
import { Outbox } from "./outbox.js";
import { inWords, Pace } from "./pace.js";
import { Past } from "./past.js";
import { partOf, Round } from "./practice.js";
import { ask, Offline } from "./server.js";
import { Tabs } from "./tabs.js";
import { called, say } from "./words.js";

const AHEAD = 10; // the one on show and those whose pictures are loaded meanwhile
const RENEW = 120_000; // ms; a lease holds five minutes
const LEASE = 300_000; // ms
const LOOK_AGAIN = 10_000; // ms, while there is nothing to answer

const page = document.getElementById("annotate");
const at = (id) => document.getElementById(id);
const { user, kind, api, curates } = page.dataset;
const practised = new Set(page.dataset.practised.split(" "));
const number = (value) => Number(value).toLocaleString(document.documentElement.lang);
const facesOf = (question) => (question.kind === "pair" ? question.people.flatMap((person) => person.faces) : question.faces);
const capital = (text) => text[0].toUpperCase() + text.slice(1);

const queue = []; // questions that were fetched and not shown yet
const done = new Set(); // ids of those answered here or in another tab, which the server may still hand out
const arrived = new Set(); // of these: the server has the answers, and hands out what was taken back since
const past = new Past();
const pace = new Pace();
const tabs = new Tabs({ storage: localStorage, prefix: `dager.tab.${user}.`, own: crypto.randomUUID() });
const landed = new Map(); // client id -> resolves with the id of the answer that the server has, or null if it refused it
let shown = null; // { question, marks, at, current }
let tally = { answered_today: Number(at("answered").textContent), open: Number(at("left").textContent), skipped: 0 };
let looking = false;
let lookAgain = false; // an answer was kept meanwhile
let rested = false; // somebody goes on without a break
let round = null; // of practice, while there is one

async function send(answer) {
  const kept = await ask(`${api}/questions/${answer.question}/answer`, { method: "POST", body: { client_id: answer.client_id, content: answer.content, elapsed_ms: answer.elapsed_ms } });
  if (answer.taken && !kept.undone_at) await ask(`${api}/answers/${kept.id}/undo`, { method: "POST" });
  return kept;
}

const outbox = new Outbox({
  storage: localStorage,
  prefix: `dager.answer.${user}.`,
  send,
  told: {
    kept: (answer, kept) => {
      past.kept(answer.client_id, kept.id);
      arrived.add(answer.question);
      settle(answer, kept.id);
      isBack("line_lost");
      if (looking) lookAgain = true; // what is being asked for may count without this answer
      else if (queue.length <= AHEAD / 2) refill();
    },
    refused: (answer, error) => {
      past.forget(answer.client_id);
      done.delete(answer.question); // the server knows whether it is still to be answered here
      settle(answer, null);
      if (!answer.taken) tell(error.message, true);
      refill();
    },
    lost: (error) => tell(error instanceof Offline ? say("line_lost") : error.status === 401 ? say("signed_out") : say("not_kept", { message: error.message }), true),
    waiting: tellUnsent,
  },
});

function tellUnsent(count) {
  at("unsent").hidden = count < 2;
  at("unsent").textContent = say("not_sent", { count });
}

function isDone(question) {
  done.add(question);
  arrived.delete(question);
}

// What was told of a lost line is not true any more.
function isBack(told) {
  if (at("told").textContent === say(told)) tell(say("line_back"));
}

function settle(answer, id) {
  landed.get(answer.client_id)?.(id);
  landed.delete(answer.client_id);
}

// ---- questions in

async function refill() {
  if (looking) return;
  [looking, lookAgain] = [true, false];
  for (const question of arrived) done.delete(question);
  arrived.clear();
  tabs.tell(onScreen());
  try {
    const here = [...(shown && !round ? [shown.question] : []), ...queue].map((each) => each.id);
    const answer = await ask(`${api}/questions/next?ahead=${AHEAD}&known=${here.join(",")}${kind ? `&kind=${kind}` : ""}`);
    isBack("server_away");
    const known = new Set([...here, ...queue.map((each) => each.id), round ? null : shown?.question.id, ...done]);
    const unsent = outbox.waiting.filter((each) => !each.taken && each.content.verdict !== "skip").length;
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
    if (lookAgain) refill();
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

const onScreen = () => (round || !shown ? null : shown.question.id);

function next() {
  const place = queue.findIndex((each) => !tabs.shows(each.id));
  const [question] = place < 0 ? [] : queue.splice(place, 1);
  if (question && !curates && !practised.has(partOf(question))) {
    queue.unshift(question);
    practise(partOf(question));
  } else if (question) show(question);
  else clear();
  if (queue.length <= AHEAD / 2) refill();
}

function clear() {
  at("why").close(); // it was asked of what was on show before
  shown = null;
  tabs.tell(null);
  at("question").hidden = true;
  at("keys").hidden = past.length === 0; // the last answer can be undone all the same
  for (const part of at("keys").querySelectorAll("[data-for]")) part.hidden = true;
  at("empty").hidden = false;
  at("ask").textContent = say("nothing");
  at("about").textContent = at("why-asked").textContent = "";
  at("for-others").textContent = tally.open > 0 ? say("for_others", { count: tally.open }) : "";
  at("bring-back").hidden = !tally.skipped;
  count();
  document.title = `${say("title")} · DAGER`;
}

// ---- a question on show

function show(question, said = null) {
  const { kind: of } = question;
  const inGrid = of === "cluster" || of === "grid" || of === "record";
  const parts = new Set([of, partOf(question), round ? "practice" : "real"]);
  if (question.values.length > (of === "grid" ? 2 : 0)) parts.add("choices"); // of two the mark says which
  at("why").close();
  if (!round) tabs.tell(question.id);
  shown = { question, marks: new Marks(facesOf(question).map((face) => face.id), said ?? {}), at: performance.now(), current: 0 };
  at("empty").hidden = true;
  at("question").hidden = at("keys").hidden = false;
  at("question").classList.toggle("of-pair", of !== "cluster");
  at("grid").hidden = !inGrid;
  at("pair").hidden = of !== "pair";
  at("single").hidden = of !== "value";
  at("known").hidden = true;
  for (const group of document.querySelectorAll("#keys [data-for]")) group.hidden = !group.dataset.for.split(" ").some((part) => parts.has(part));
  for (const section of document.querySelectorAll("#help [data-for]")) section.hidden = section.dataset.for !== partOf(question);
  at("name").value = said?.name ?? "";
  at("other-label").textContent = of === "grid" ? say("button_not", { value: called(question.value) }) : say(of === "record" ? "button_somebody_else" : "button_other");
  at("why-asked").textContent = question.why ?? "";
  at("feedback").hidden = true;
  for (const name of ["undo", "skip"]) at("keys").querySelector(`[data-do=${name}]`).hidden = Boolean(round);
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
  at("ask").textContent = person ? say("ask_cluster_known", { name: nameOf(person) }) : say("ask_cluster");
  at("about").textContent = say("about_cluster");
  showKnown(person);
  at("name").placeholder = person?.name ?? "";
  at("terms").replaceChildren(...listed(say("search_terms"), question.queries, true));
  at("from").replaceChildren(...listed(say("sources"), question.sources, false));
  lay(question);
}

const nameOf = (person) => person.name || say("person", { id: String(person.id) });

function showKnown(person, facts = {}) {
  at("known").hidden = !person?.faces.length;
  at("known").replaceChildren();
  if (person) {
    at("known").append(
      element("p", {}, element("strong", {}, nameOf(person)), element("br"), element("span", { class: "muted small" }, say("faces_known", { count: person.face_count }))),
      element("div", { class: "faces" }, ...person.faces.map((face) => element("img", { src: face.crop, alt: facts[face.id] ?? say("known_face"), title: facts[face.id], width: 384, height: 384 }))),
    );
  }
}

function showRecord(question) {
  const [person] = question.people;
  at("ask").textContent = say("ask_record");
  at("about").textContent = say("about_record");
  const shownBelow = new Set(question.faces.map((face) => face.id));
  showKnown({ ...person, faces: person.faces.filter((face) => !shownBelow.has(face.id)) }, question.facts);
  lay(question);
}

function showGrid(question) {
  at("ask").textContent = say("ask_grid", { value: called(question.value) });
  at("about").textContent = say(question.values.length > 2 ? "about_grid_values" : "about_grid");
  lay(question);
}

function lay(question) {
  at("grid").replaceChildren(...question.faces.map((face, index) => element("li", {}, tile(face, index, () => mark("other")))));
  question.faces.forEach((_, index) => paint(index));
  label();
  fit();
  focus(0);
  tell("");
  hear(say("hear_faces", { ask: at("ask").textContent, count: question.faces.length }));
}

// One key for each value: of the one face on show, or of the one that is marked in a grid.
function choices(question) {
  const buttons = question.values.map((value, index) => {
    const button = element("button", { type: "button", "data-key": String(index + 1), "data-value": value }, element("span", {}, capital(called(value))), " ", element("kbd", {}, String(index + 1)));
    if (question.kind === "grid") button.disabled = value === question.value;
    return button;
  });
  at("choices").replaceChildren(...buttons);
  at("choices").classList.remove("idle");
}

function showSingle(question, said) {
  const [face] = question.faces;
  const years = !question.values.length;
  at("ask").textContent = years ? say("ask_years") : say("ask_value", { attribute: called(question.attribute) });
  at("about").textContent = years ? say("about_years") : "";
  const button = element("button", { type: "button", class: "plain-face", "aria-label": say("zoom") }, element("img", { src: face.crop, alt: "", width: 384, height: 384 }));
  button.addEventListener("click", () => zoom(face));
  at("single").replaceChildren(button);
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
  const least = shown.question.kind === "record" ? 160 : 72; // dates are to be read on them
  grid.style.setProperty("--columns", columnsThatFit(shown.question.faces.length, grid.clientWidth, room, { least, most: Math.max(260, innerWidth / 8) }));
}

// A face that can be marked; a click means it and presses what `pressed` does.
function tile(face, index, pressed) {
  const button = element(
    "button",
    { type: "button", class: "tile", tabindex: -1 },
    element("img", { src: face.crop, alt: "", width: 384, height: 384, draggable: "false" }),
    element("span", { class: "mark" }),
    shown.question.facts?.[face.id] ? element("span", { class: "facts" }, shown.question.facts[face.id]) : null,
  );
  whenHeld(button, () => {
    focus(index);
    zoom(face, true);
  });
  button.addEventListener("click", () => {
    focus(index);
    pressed(face);
  });
  button.addEventListener("focus", () => current(index));
  return button;
}

function listed(title, counts, asName) {
  if (!counts.length) return [];
  const chips = counts.slice(0, 8).map(([text, count]) => {
    const chip = element(asName ? "button" : "span", asName ? { type: "button", class: "chip", title: say("use_as_name") } : { class: "chip" }, `${text} `, element("b", {}, number(count)));
    if (asName) chip.addEventListener("click", () => (at("name").value = text));
    return chip;
  });
  return [element("h2", {}, title), element("p", { class: "chips" }, ...chips)];
}

function showPair(question) {
  at("ask").textContent = say("ask_pair");
  at("about").textContent = say("about_pair");
  at("known").hidden = true;
  let place = 0;
  const sides = question.people.map((person) =>
    element(
      "section",
      { class: "card", "aria-label": nameOf(person) },
      element("h2", {}, nameOf(person), " ", element("span", { class: "muted small" }, say("faces", { count: person.face_count }))),
      element("ul", { class: "faces" }, ...person.faces.map((face) => element("li", {}, tile(face, place++, (each) => zoom(each))))),
    ),
  );
  at("pair").replaceChildren(...sides);
  facesOf(question).forEach((_, index) => paint(index));
  current(0);
  at("ask").focus({ preventScroll: true });
  tell("");
  hear(at("ask").textContent);
}

// ---- marks

const tiles = () => [...at(shown.question.kind === "pair" ? "pair" : "grid").querySelectorAll(".tile")];

function current(index) {
  shown.current = index;
  tiles().forEach((each, place) => {
    each.tabIndex = place === index ? 0 : -1;
    each.classList.toggle("current", place === index);
  });
  offer();
}

// On a phone the values that a face of a grid may have instead are there once it is marked.
function offer() {
  at("choices").classList.toggle("idle", shown.question.kind === "grid" && !shown.marks.of(onShow().id));
}

function focus(index) {
  current(index);
  tiles()[index]?.focus({ preventScroll: true });
  tiles()[index]?.scrollIntoView({ block: "nearest" });
}

function paint(index) {
  const faces = facesOf(shown.question);
  const face = faces[index];
  const said = shown.marks.of(face.id);
  const button = tiles()[index];
  const about = [
    say("face_of", { number: index + 1, count: faces.length }),
    shown.question.facts?.[face.id],
    face.query && say("found_under", { query: face.query }),
    said && say("marked", { mark: word(said) }),
  ];
  button.classList.toggle("marked", Boolean(said));
  if (shown.question.kind !== "pair") button.setAttribute("aria-pressed", String(Boolean(said)));
  button.setAttribute("aria-label", about.filter(Boolean).join(", "));
  button.querySelector(".mark").textContent = said ? word(said) : "";
}

function word(said) {
  if (said === "other" && shown.question.kind === "grid") return say("mark_not", { value: called(shown.question.value) });
  return shown.question.values.includes(said) ? called(said) : say(`mark_${said}`);
}

function mark(reason) {
  const pair = shown.question.kind === "pair";
  const said = shown.marks.toggle(onShow().id, reason);
  paint(shown.current);
  offer();
  if (!pair) label();
  const place = { number: shown.current + 1, count: shown.marks.belonging, value: called(shown.question.value ?? "") };
  if (pair) hear(say(said ? "hear_no_face" : "hear_a_face", place));
  else hear(said ? say(`hear_marked_${confirmed()}`, { ...place, mark: word(said) }) : say(`hear_${confirmed()}`, place));
}

// What is said of the faces that are not marked.
const confirmed = () => ({ record: "right", grid: "value" })[shown.question.kind] ?? "one";

function label() {
  const { marks, question } = shown;
  const count = marks.belonging;
  const all = ["none", "only", "both"][count] ?? "all";
  const which = count === question.faces.length ? all : count ? "others" : "none";
  at("confirm-label").textContent = say(`${which}_${confirmed()}`, { count, value: called(question.value ?? "") });
  if (question.kind !== "cluster") return;
  const split = at("keys").querySelector("[data-do=split]");
  split.disabled = !marks.others;
  split.setAttribute("aria-pressed", String(marks.markedAreOne));
}

function count() {
  at("answered").textContent = number(tally.answered_today);
  at("left").textContent = number(Math.max(0, tally.open));
  at("keys").querySelector("[data-do=undo]").disabled = past.length === 0;
  const [perMinute, left] = [pace.perMinute(Date.now()), pace.minutesLeft(tally.open, Date.now())];
  at("pace").textContent = left === null ? "" : say("pace", { pace: Math.round(perMinute), time: say(...inWords(left)) });
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
  if (round) return judged(content);
  const entry = { client_id: crypto.randomUUID(), question: shown.question.id, content, elapsed_ms: Math.round(performance.now() - shown.at), at: Date.now() };
  isDone(shown.question.id);
  const arrival = new Promise((resolve) => landed.set(entry.client_id, resolve));
  // Whoever skips by mistake has their marks again, too.
  const said = { ...shown.marks.content("one_person", at("name").value), value: at("years").value, ...content };
  past.push({ clientId: entry.client_id, answerId: null, question: shown.question, content, said, arrival, sent: entry });
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
  if (outbox.take(entry.clientId)) outbox.flush();
  else {
    try {
      // What another tab sent is sent once more: it counts once, and the server tells which answer it is.
      if (entry.answerId === null && !outbox.read(entry.clientId)) entry.answerId = (await send(entry.sent)).id;
      else entry.answerId ??= await entry.arrival;
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
    tell(say("taken_back_for_good"));
    return;
  }
  if (shown) queue.unshift(shown.question);
  const again = queue.findIndex((each) => each.id === question.id);
  if (again >= 0) queue.splice(again, 1);
  show(question, entry.said);
  tell(say("taken_back"));
}

const actions = {
  other: () => mark("other"),
  wrong_date: () => mark("wrong_date"),
  not_a_face: () => mark("not_a_face"),
  cannot_tell: () => mark("cannot_tell"),
  split: () => {
    const one = shown.marks.toggleSplit();
    label();
    hear(say(one ? "hear_split" : "hear_no_split"));
  },
  no_face: () => answer({ verdict: "not_a_face" }),
  zoom: () => onShow() && zoom(onShow()),
  larger: () => onShow() && zoom(onShow(), true),
  older: () => guess(1),
  younger: () => guess(-1),
  name: () => at("name").focus(),
  confirm: () => answer(shown.marks.content(shown.question.kind === "cluster" ? "one_person" : "marked", at("name").value)),
  same: () => answer(shown.marks.content("same")),
  different: () => answer(shown.marks.content("different")),
  unknown: () => answer(shown.question.kind === "pair" ? shown.marks.content("cannot_tell") : { verdict: "cannot_tell" }),
  skip: () => {
    at("why").returnValue = "";
    at("why").showModal();
  },
  help: () => at("help").showModal(),
  undo,
};

// The face that is meant.
const onShow = () => facesOf(shown.question)[shown.current];

function zoom(face, larger = false) {
  at("zoomed").replaceChildren(larger ? largerCrop(face, say("larger_crop")) : photoWithBox(face, say("whole_photo")));
  at("zoom").classList.toggle("of-crop", larger);
  at("zoom").showModal();
}

// One year up or down; from nothing typed it begins where everybody's does.
function guess(step) {
  const years = at("years").value === "" ? 30 - step : Number(at("years").value); // digits alone: see "input" below
  at("years").value = String(Math.min(116, Math.max(0, years + step)));
}

// ---- practice, on drawn faces, before the first real question of a kind

async function practise(part) {
  let examples;
  shown = null;
  try {
    examples = (await ask(`${api}/practice?part=${part}`)).examples;
  } catch (error) {
    clear();
    at("ask").textContent = say("practice_missing", { message: error.message });
    return;
  }
  for (const each of examples) preload(each);
  round = new Round(part, examples);
  rehearse();
}

function rehearse() {
  show(round.current);
  at("practising").hidden = false;
  at("practising-told").textContent = say("practice", { number: round.place + 1, count: round.examples.length });
}

function judged(content) {
  const found = round.answer(content);
  const faces = facesOf(shown.question);
  for (const [name, ids] of Object.entries({ missed: [...found.missed, ...found.otherwise], needless: found.needless }))
    for (const id of ids) tiles()[faces.findIndex((face) => face.id === id)]?.classList.add(name);
  at("keys").hidden = true;
  at("feedback").hidden = false;
  at("feedback").classList.toggle("success", Boolean(found.right));
  at("verdict").textContent = say(found.right ? "practice_right" : "practice_wrong");
  at("explained").textContent = round.current.explained;
  at("go-on").focus();
}

async function goOn() {
  if (round.next()) {
    rehearse();
    return;
  }
  const { part, right, examples } = round;
  practised.add(part);
  leave();
  tell(say("practice_over", { right, count: examples.length }));
  ask(`${api}/practice`, { method: "POST", body: { part } }).catch(() => {}); // asked once more on the next visit then
}

function leave() {
  round = shown = null;
  at("practising").hidden = at("feedback").hidden = true;
  next();
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
  if (event.repeat || !["z", "l"].includes(event.key.toLowerCase())) return;
  event.preventDefault(); // or the same key would open it again
  at("zoom").close();
});
at("why").addEventListener("close", () => {
  const reason = at("why").returnValue; // none: the dialog was left by Escape
  if (shown && reason) answer({ verdict: "skip", reason: reason === "none_given" ? "" : reason });
});
at("go-on").addEventListener("click", goOn);
at("leave").addEventListener("click", leave);
at("practise").addEventListener("click", () => {
  at("help").close();
  if (!shown || round) return;
  queue.unshift(shown.question);
  practise(partOf(shown.question));
});
at("years").addEventListener("input", () => (at("years").value = at("years").value.replace(/\D/g, "")));
at("years").addEventListener("keydown", (event) => {
  const step = { ArrowUp: 1, ArrowDown: -1 }[event.key];
  if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  guess(step);
});
// A key that is held goes on firing: of Space and Enter the browser would make one click after the other.
document.addEventListener(
  "keydown",
  (event) => {
    if (event.repeat && (event.key === "Enter" || event.key === " ") && !(event.key === " " && isField(event.target))) event.preventDefault();
  },
  true,
);
// The second click of a double click meant the question before.
at("keys").addEventListener("click", (event) => event.detail > 1 && shown && performance.now() - shown.at < 400 && event.stopImmediatePropagation(), true);
at("rested").addEventListener("click", () => {
  rested = true;
  count();
});
listen(at("why"));
listen(at("help"));
listen(at("feedback"));
listen(at("keys"), (target) => target.classList.contains("tile") || target.classList.contains("plain-face"));
document.addEventListener("keydown", (event) => {
  if (!shown || !at("single").hidden || isField(event.target) || event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const all = tiles();
  const pair = shown.question.kind === "pair"; // two grids, beside or below each other
  const place = pair
    ? movedAmong(all.map((each) => each.getBoundingClientRect()), shown.current, event.key)
    : moved(shown.current, event.key, all.length, columnsOf(all.map((each) => each.parentElement)));
  if (place === null) return;
  event.preventDefault();
  focus(place);
});

window.addEventListener("resize", fit);
window.addEventListener("online", () => outbox.flush());
window.addEventListener("storage", ({ key, oldValue, newValue }) => {
  tellUnsent(outbox.unsent); // another tab sends for this one, too
  if (!key?.startsWith(outbox.prefix)) return;
  const { question } = JSON.parse(newValue ?? oldValue);
  if (!newValue) {
    arrived.add(question);
    return;
  }
  isDone(question); // what was answered there is not asked here
  const place = queue.findIndex((each) => each.id === question);
  if (place >= 0) queue.splice(place, 1);
  if (onScreen() !== question) return;
  shown = null;
  next();
  tell(say("answered_elsewhere"));
});

// Leases ran on while nobody looked, and another tab may have taken over what is on show here.
function lookedAtAgain() {
  if (onScreen() !== null && tabs.shows(onScreen())) {
    queue.unshift(shown.question);
    shown = null;
    next();
  }
  refill();
}

document.addEventListener("visibilitychange", () => document.hidden || lookedAtAgain());
window.addEventListener("pagehide", () => {
  tabs.leave();
  // Answers that have not left yet still need their leases, and so do other tabs.
  if (!outbox.waiting.length && !tabs.within(LEASE).length) ask(`${api}/questions/give-back`, { method: "POST", keepalive: true }).catch(() => {});
});
window.addEventListener("pageshow", (event) => event.persisted && lookedAtAgain());
setInterval(() => document.hidden || refill(), RENEW);
setInterval(() => document.hidden || shown || refill(), LOOK_AGAIN);

document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }); // on a phone they are a row that scrolls

outbox.flush();
refill().then(() => {
  if (!shown) clear();
});
