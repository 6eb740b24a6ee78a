/** Text as it must stand in XML and HTML. */
export const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`);
