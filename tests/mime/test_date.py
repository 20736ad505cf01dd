from datetime import timedelta

import pytest

from mailstead.mime.date import date_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),
        (b"Thu, 13 Feb 1969 23:32:54 -0330", "1969-02-13T23:32:54-03:30"),
        (b"1 Jan 2020 00:00 GMT", "2020-01-01T00:00:00+00:00"),
        (b"Mon, 4 May 98 10:00:00 EST", "1998-05-04T10:00:00-05:00"),
        (b"4 May 49 10:00:00 PDT", "2049-05-04T10:00:00-07:00"),
        (b"4 May 101 10:00:00 Z", "2001-05-04T10:00:00+00:00"),
        (b"4 May 2001 10:00:00 K", "2001-05-04T10:00:00+00:00"),
        (b"4 May 2001 10:00:00", "2001-05-04T10:00:00+00:00"),
        (b"Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", "1969-02-13T23:32:00-03:30"),
        (b"(c) Thu, 13 (d) Feb 1969 23:32 -0330", "1969-02-13T23:32:00-03:30"),
        (b"Sat, 31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59+00:00"),
        (b"Sat, 31 December 2016 3:09:00 +0000", "2016-12-31T03:09:00+00:00"),
    ],
)
def test_date(value, expected):
    assert date_of(value).isoformat() == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"32 Jan 2020 00:00:00 +0000",
        b"1 Foo 2020 00:00 GMT",
        b"1 Jan 2020 25:00 GMT",
        b"1 Jan 2020 00:00:61 GMT",
        b"\xff\x00",
    ],
)
def test_not_a_date(value):
    assert date_of(value) is None


def test_impossible_zones_are_utc():
    assert date_of(b"1 Jan 2020 00:00:00 +9999").utcoffset() == timedelta(0)
