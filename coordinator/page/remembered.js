// What the browser remembers for the next visit: choices of taste, and nothing else.

export function remembered(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // the browser keeps nothing for this page
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // then it is chosen again the next time
  }
}
