// What a selector finds is read by the members of any element that our pages have: a misspelt one is found, and
// nobody has to say of each button that it is one. Loaded by `make check` only; browsers never see it.
type Found = HTMLElement &
  Omit<HTMLInputElement, "value" | "max" | "addEventListener"> &
  Pick<HTMLSelectElement, "options" | "selectedIndex"> &
  Pick<HTMLDialogElement, "showModal" | "close"> &
  Pick<HTMLDetailsElement, "open"> &
  Pick<HTMLTemplateElement, "content"> &
  Pick<HTMLAnchorElement, "href" | "hash"> &
  Pick<HTMLTimeElement, "dateTime"> &
  Pick<HTMLFormElement, "elements" | "submit" | "requestSubmit" | "reset" | "action" | "method" | "target"> &
  { value: any; max: any }; // text in a field, a number in <progress>

interface ParentNode {
  querySelector(selectors: string): Found | null;
  querySelectorAll(selectors: string): NodeListOf<Found>;
}
interface Element {
  closest(selectors: string): Found | null;
}
interface Document {
  getElementById(id: string): Found | null;
}
interface Node {
  cloneNode(subtree?: boolean): this;
}
// Fields by their names.
interface HTMLFormControlsCollection {
  [name: string]: any;
}
// Listeners take what an event happened to for an element.
interface Event {
  detail: any;
}
interface EventTarget {
  closest(selectors: string): Found | null;
  matches: any; // of a MediaQueryList it is no function
  getAttribute(name: string): string | null;
  setAttribute(name: string, value: string): void;
}
interface Window {
  htmx: {
    ajax(method: string, address: string, options: object): Promise<void>;
    trigger(element: Element | string, event: string): void;
    process(element: Element): void;
  };
}
declare var htmx: Window["htmx"];
declare var Redoc: { init(address: string, options: object, element: Element): void };
