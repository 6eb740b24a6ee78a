/** Files Vite gives as text. */
declare module '*.txt?raw' {
  const text: string;
  export default text;
}
