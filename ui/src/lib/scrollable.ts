// A box that may scroll sideways can be reached with the keyboard, but only while there is something to scroll.
import type { Attachment } from "svelte/attachments";

export const scrollable: Attachment<HTMLElement> = (box) => {
  const look = (): void => {
    if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  const watch = new ResizeObserver(look);
  watch.observe(box);
  for (const child of box.children) watch.observe(child);
  return () => watch.disconnect();
};
