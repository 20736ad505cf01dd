// tsdav against a started server; prints JSON. Arguments: address of the server, mail address, password.
import { createRequire } from "node:module";
const require = createRequire(process.env.TEST_TOOLS + "/");
const { createDAVClient } = require("tsdav");

const [, , serverUrl, username, password] = process.argv;
const account = { serverUrl, credentials: { username, password }, authMethod: "Basic" };
const client = await createDAVClient({ ...account, defaultAccountType: "caldav" });
const result = {};
const calendars = await client.fetchCalendars();
result.calendars = calendars.length;
const calendar = calendars.find((each) => each.url.endsWith("/default/"));
const event = (summary, day) => ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tsdav//EN", "BEGIN:VEVENT", "UID:ts-1",
  "DTSTAMP:20260101T000000Z", `DTSTART:202603${day}T100000Z`, `DTEND:202603${day}T110000Z`, `SUMMARY:${summary}`, "END:VEVENT", "END:VCALENDAR", ""].join("\r\n");
const made = await client.createCalendarObject({ calendar, filename: "ts-1.ics", iCalString: event("By tsdav", 12) });
result.made = made.status;
const summaries = (objects) => objects.map((each) => /SUMMARY:.*/.exec(each.data)[0]);
let objects = await client.fetchCalendarObjects({ calendar });
result.objects = summaries(objects);
const range = (month) => ({ start: `2026-0${month}-01T00:00:00Z`, end: `2026-0${month + 1}-01T00:00:00Z` });
result.inMarch = (await client.fetchCalendarObjects({ calendar, timeRange: range(3) })).length;
result.inApril = (await client.fetchCalendarObjects({ calendar, timeRange: range(4) })).length;
const before = (await client.fetchCalendars()).find((each) => each.url === calendar.url);
await client.updateCalendarObject({ calendarObject: { ...objects[0], data: event("Changed", 13) } });
const synced = await client.syncCollection({ url: calendar.url, props: { "d:getetag": {} }, syncLevel: 1, syncToken: before.syncToken });
result.changed = synced.filter((each) => each.href?.endsWith(".ics")).length;
objects = await client.fetchCalendarObjects({ calendar });
result.deleted = (await client.deleteCalendarObject({ calendarObject: objects[0] })).status;
result.left = (await client.fetchCalendarObjects({ calendar })).length;

const cards = await createDAVClient({ ...account, defaultAccountType: "carddav" });
const books = await cards.fetchAddressBooks();
result.addressBooks = books.length;
await cards.createVCard({ addressBook: books[0], filename: "t.vcf", vCardString: "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:t-1\r\nFN:Teresa Script\r\nN:Script;Teresa;;;\r\nEND:VCARD\r\n" });
result.cards = (await cards.fetchVCards({ addressBook: books[0] })).map((each) => /FN:.*/.exec(each.data)[0]);
console.log(JSON.stringify(result));
