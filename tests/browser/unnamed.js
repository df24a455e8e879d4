// Controls that a screen reader has no name for, and pictures without a text.
() => [...document.querySelectorAll("input:not([type=hidden]), select, button, a[href], img, progress")]
  .filter((each) => each.getClientRects().length)
  .filter((each) => each.tagName === "IMG" ? !each.hasAttribute("alt")
    : !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.length || each.querySelector("img[alt]:not([alt=''])")))
  .map((each) => each.outerHTML.slice(0, 120))
