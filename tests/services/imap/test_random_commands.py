"""Random commands from several sessions at once: never a bug, and a plain model of each client agrees with the store."""

import asyncio
import random

import pytest

SETS = ["1", "2", "1:3", "1:*", "*", "3,1", "$", "2:4", "*:1", "7", "1:4294967295"]
NAMES = ["INBOX", "Archive", "Sent", "Work", "Work/Deep", "Nowhere"]
FLAGS = ["\\Seen", "\\Deleted", "\\Flagged", "$Junk", "mine"]
ITEMS = [
    "UID", "FLAGS", "(FLAGS UID)", "ALL", "FULL", "ENVELOPE", "BODY", "BODYSTRUCTURE", "MODSEQ", "RFC822.SIZE",
    "BODY.PEEK[]", "BODY[TEXT]", "BODY[1]", "BODY.PEEK[HEADER.FIELDS (From X-Odd)]", "BODY.PEEK[HEADER.FIELDS.NOT (From)]",
    "BODY.PEEK[2.MIME]", "BODY.PEEK[]<3.5>", "BINARY.PEEK[1]", "BINARY.SIZE[1]", "BINARY[]", "(EMAILID THREADID)", "SAVEDATE",
    "PREVIEW", "RFC822.HEADER", "BODY.PEEK[1.HEADER]", "BODY.PEEK[1.1.TEXT]",
]  # fmt: skip
KEYS = [
    "ALL", "UNSEEN", "NOT SEEN", "OR SEEN DELETED", "FROM bob", "SUBJECT 3", "TEXT number", "BODY 2", "LARGER 10", "MODSEQ 1",
    "SINCE 1-Jan-2020", "SENTBEFORE 1-Jan-2030", "YOUNGER 100", "KEYWORD mine", "1:3", "UID 2:*", "$", "HEADER X-Odd yes",
]  # fmt: skip
RETURNS = [
    "",
    "RETURN () ",
    "RETURN (MIN MAX) ",
    "RETURN (COUNT) ",
    "RETURN (SAVE) ",
    "RETURN (PARTIAL 1:2) ",
    "RETURN (SAVE ALL) ",
]


def _command(chance):
    pick = chance.choice
    uid = pick(["", "UID "])
    return pick(
        [
            lambda: f"{uid}FETCH {pick(SETS)} {pick(ITEMS)}",
            lambda: f"UID FETCH {pick(SETS)} (FLAGS) (CHANGEDSINCE {chance.randint(1, 30)})",
            lambda: f"{uid}STORE {pick(SETS)} {pick(['+', '-', ''])}FLAGS{pick(['', '.SILENT'])} ({pick(FLAGS)})",
            lambda: f"STORE {pick(SETS)} (UNCHANGEDSINCE {chance.randint(1, 30)}) +FLAGS ({pick(FLAGS)})",
            lambda: f"{uid}SEARCH {pick(RETURNS)}{pick(KEYS)} {pick(KEYS)}",
            lambda: (
                f"{uid}SORT {pick(RETURNS)}({pick(['DATE', 'REVERSE SUBJECT', 'FROM SIZE', 'DISPLAYTO'])}) UTF-8 {pick(KEYS)}"
            ),
            lambda: f"{uid}THREAD {pick(['REFERENCES', 'ORDEREDSUBJECT'])} UTF-8 {pick(KEYS)}",
            lambda: f"{uid}COPY {pick(SETS)} {pick(NAMES)}",
            lambda: f"{uid}MOVE {pick(SETS)} {pick(NAMES)}",
            lambda: pick(["EXPUNGE", "NOOP", "CHECK", "UID EXPUNGE 1:3", "NAMESPACE", "ID NIL", "CAPABILITY"]),
            lambda: f"APPEND {pick(NAMES)} ({pick(FLAGS)}) {{19+}}\r\nSubject: new\r\n\r\nx\r\n",
            lambda: f"{uid}REPLACE {chance.randint(1, 5)} INBOX {{19+}}\r\nSubject: new\r\n\r\nx\r\n",
            lambda: f"{pick(['SELECT', 'EXAMINE'])} {pick(NAMES)}",
            lambda: f"STATUS {pick(NAMES)} (MESSAGES UIDNEXT UNSEEN SIZE DELETED HIGHESTMODSEQ DELETED-STORAGE)",
            lambda: f"{pick(['CREATE', 'DELETE', 'SUBSCRIBE', 'UNSUBSCRIBE'])} {pick(NAMES[3:])}",
            lambda: f"RENAME {pick(NAMES[3:])} {pick(NAMES[3:])}",
            lambda: f'LIST {pick(["", "(SUBSCRIBED) ", "(SUBSCRIBED RECURSIVEMATCH) "])}"" {pick(["*", "%", "Work*"])}',
            lambda: f"ENABLE {pick(['CONDSTORE', 'QRESYNC', 'IMAP4rev2', 'UTF8=ACCEPT'])}",
            lambda: pick(
                [
                    "NOTIFY NONE",
                    "NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge FlagChange)) (PERSONAL (MailboxName))",
                ]
            ),
            lambda: pick(["UNSELECT", "CLOSE", 'GETQUOTA ""', "GETMETADATA INBOX /private/comment", 'LSUB "" *']),
            lambda: "IDLE\r\nDONE",
        ]
    )()


@pytest.mark.parametrize("seed", range(6))
async def test_random_commands(house, seed):
    await house.fill(5)
    chance = random.Random(seed)

    async def talk(client):
        for _ in range(80):
            if client.conversation.memory_line.is_closed:
                return
            command = _command(chance)
            try:
                lines = await client(command)
            except EOFError:
                return  # its selected mailbox was deleted by another
            assert "SERVERBUG" not in lines[-1], (command, lines, client.conversation.memory_line.bugs)

    clients = [house.session(house.alice) for _ in range(4)]
    for client in clients:
        await client.greeting()
        await client("SELECT INBOX")
    await asyncio.gather(*map(talk, clients))
    for client in clients:
        if not client.conversation.memory_line.is_closed and "OK" in (await client("SELECT INBOX"))[-1]:
            await _agrees(client)
        await client.close()


async def _agrees(client):
    view = client.session.selected.view
    await client("NOOP")
    assert view.uids == (await client.session.store.snapshot("INBOX")).uids
