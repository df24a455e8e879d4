// A key is an attribute of the visible button that it presses, so the page is its own legend.

const FIELDS = new Set(["INPUT", "TEXTAREA", "SELECT"]);
const TICKS = new Set(["checkbox", "radio", "range", "button", "submit"]); // no letter means anything to these

export const isField = (element) =>
  Boolean(element) && ((FIELDS.has(element.tagName) && !(element.tagName === "INPUT" && TICKS.has(element.type))) || element.isContentEditable === true);

// A letter means nothing to a field of digits, and goes to the page.
const passesBy = (event) => event.target.inputMode === "numeric" && /^[a-z]$/i.test(event.key);

// The key that was meant for the page, or "" for one that was not.
export function keyOf(event) {
  if (event.defaultPrevented || event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return "";
  if (event.shiftKey && event.key.length > 1) return "";
  if (isField(event.target) && !passesBy(event)) return "";
  return event.key.length === 1 ? event.key.toLowerCase() : event.key;
}

// Space and Enter press whatever link or button has the focus; only where `ours` says so do they belong to the page.
export function meansFocused(event, ours) {
  if (event.key !== " " && event.key !== "Enter") return false;
  const target = event.target;
  return !ours(target) && (["BUTTON", "A", "SUMMARY"].includes(target.tagName) || (event.key === " " && target.type === "checkbox"));
}

const visible = (button) => !button.disabled && button.getClientRects().length > 0;

// While a dialog is open, only its own keys count.
const covered = (root) => {
  const open = document.querySelector("dialog[open]");
  return open !== null && !open.contains(root);
};

// Presses the button whose `data-key` is typed. `ours` names elements on which Space and Enter are the page's.
export function listen(root, ours = () => false) {
  document.addEventListener("keydown", (event) => {
    const key = keyOf(event);
    if (!key || covered(root) || meansFocused(event, ours)) return;
    const button = [...root.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key && visible(each));
    if (!button) return;
    event.preventDefault();
    button.click();
  });
}
