from mailstead.mime.html import text_of_html


def test_html():
    assert text_of_html("a<b>b</b>c<p>d") == "abc\nd"
    assert text_of_html("<style>x</style>y<!-- <b>no</b> -->z<script>if (a<b) x</SCRIPT >w") == "yzw"
    assert text_of_html("1 < 2 &amp; 3 &lt; 4") == "1 < 2 & 3 < 4"
    assert text_of_html("<!doctype html><a href='x'>link</a><img alt=x") == "\nlink\n"
    assert text_of_html("<!-- never closed") == ""
    assert text_of_html("<!---->x") == "x"
    assert text_of_html("<") == "<"
