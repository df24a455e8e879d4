// A page that shows something under way is loaded again until it is done.

const told = document.querySelector("[data-reload]");
if (told) setTimeout(() => location.reload(), Number(told.dataset.reload) * 1_000);
