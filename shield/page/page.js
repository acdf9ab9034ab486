() => {
  // Gradio's before-and-after slider knows the mouse alone: give it a keyboard and its pictures words.
  const STEP = 24; // px per press of an arrow key
  const send = (target, type, x, y) =>
    target.dispatchEvent(new MouseEvent(type, { bubbles: true, view: window, clientX: x, clientY: y }));
  const move = (handle, pixels) => {
    const box = handle.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    send(handle, "mousedown", x, y);
    send(window, "mousemove", x + pixels, y);
    send(window, "mouseup", x + pixels, y);
  };
  const teach = () => {
    document.querySelectorAll("[data-testid=imageslider-image]").forEach((image, number) => {
      const text = number % 2 ? "The protected photo, or the change" : "The photo before protection";
      if (image.alt !== text) image.alt = text;
    });
    document.querySelectorAll("[data-testid=slider]:not([tabindex])").forEach((handle) => {
      handle.tabIndex = 0;
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-label", "Divide before and after: arrow keys");
      handle.setAttribute("aria-valuetext", "movable");
      handle.addEventListener("keydown", (event) => {
        const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!direction) return;
        event.preventDefault();
        move(handle, direction * STEP);
      });
    });
    document.querySelectorAll("#examples img:not([alt]), #examples img[alt='']").forEach((image) => {
      image.alt = "An example photo";
    });
  };
  new MutationObserver(teach).observe(document.body, { childList: true, subtree: true });
  teach();
}
