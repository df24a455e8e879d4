// Where an arrow key leads in a grid that wraps its rows. Null for a key that leads nowhere.

export function moved(index, key, count, columns) {
  switch (key) {
    case "ArrowRight": return index + 1 < count ? index + 1 : null;
    case "ArrowLeft": return index > 0 ? index - 1 : null;
    case "ArrowDown": return index + columns < count ? index + columns : null;
    case "ArrowUp": return index - columns >= 0 ? index - columns : null;
    case "Home": return count ? 0 : null;
    case "End": return count ? count - 1 : null;
    default: return null;
  }
}

// Where up and down lead among boxes (left, top, width) of several grids: to the next one in the same column, whichever
// grid that is of. All other keys lead from one to the next.
export function movedAmong(boxes, index, key) {
  const down = { ArrowDown: true, ArrowUp: false }[key];
  if (down === undefined) return moved(index, key, boxes.length, 1);
  const from = boxes[index];
  const way = (box) => (down ? box.top - from.top : from.top - box.top);
  const there = boxes.filter((box) => way(box) > 0 && Math.abs(box.left - from.left) < box.width / 2);
  return there.length ? boxes.indexOf(there.reduce((one, other) => (way(other) < way(one) ? other : one))) : null;
}

// How many of these elements stand in the first row.
export function columnsOf(elements) {
  if (!elements.length) return 1;
  const top = elements[0].offsetTop;
  const end = elements.findIndex((element) => element.offsetTop !== top);
  return end < 0 ? elements.length : end;
}

// In how many columns so many squares are largest without overflowing the space (pixels); never smaller than `least`,
// even if the rest is below the fold then.
export function columnsThatFit(count, width, height, { gap = 8, least = 72, most = 260 } = {}) {
  const widest = Math.max(1, Math.floor((width + gap) / (least + gap)));
  for (let columns = Math.max(1, Math.ceil((width + gap) / (most + gap))); columns < widest; columns++) {
    const side = (width + gap) / columns - gap;
    if (Math.ceil(count / columns) * (side + gap) - gap <= height) return columns;
  }
  return widest;
}
