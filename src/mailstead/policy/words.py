"""Names of two words, for an alias whose name is left to us: easy to read out, and no word that could offend."""

from __future__ import annotations

from typing import Final

_FIRST_WORDS: Final = """
able agile amber ample apt azure bold brave breezy brief bright brisk broad calm candid casual cheery chief civic
clean clear clever close cool copper coral cosy crisp curly daily dapper deep direct dual eager early easy elder
epic equal even exact fair famous fancy fast fine firm first fleet fluent fond frank free fresh full gentle giant
glad golden good grand great green grown handy happy hardy hearty honest humble ideal indigo inner jolly joyful keen
key kind large late lavish leafy level light lively local loud loyal lucid lucky lunar lush main major mellow merry
mild mint modern modest moral native neat new nimble noble noted novel olive open optic orange outer patient placid
plain polar polite prime proper proud pure quick quiet rapid rare ready red regal rich right ripe rosy round royal
rural rustic safe scenic serene sharp shiny silent silver simple sleek slim smart smooth snug social soft solar
solid sound spare spry stable steady sturdy subtle sunny super sure sweet swift tall teal tender tidy topaz tough
tranquil true trusty upbeat urban usual valid vast velvet vital vivid warm whole wide wise witty young zesty
"""
_SECOND_WORDS: Final = """
acorn alder anchor apple arbor arrow aspen atlas badger bamboo banjo barley basil basin beacon beaver beech bell
berry birch bison bloom bridge brook cabin camel canal candle canoe canyon castle cedar cello cherry citrus cliff
clover cobalt comet coral cotton cove crane creek cricket crystal daisy delta desert dolphin dune eagle elm ember
falcon fern fiddle finch fjord flint forest fox garden garnet ginger glacier grove gull harbor hazel heron hill
island ivy jasmine jay juniper kettle kite koala lagoon lake lantern lark laurel lemon lilac lily linden lotus lynx
magnet mango maple marble marsh meadow melon mesa mill mint moon moose moss nectar nest nutmeg oak oasis ocean olive
onyx orchid osprey otter owl oyster panda path peach pebble pepper piano pine planet plum pond poplar prairie puffin
quail quartz quill rabbit rain raven reef ridge river robin rocket rose saddle saffron sail salmon sandal satin seal
sequoia shell sky sparrow spring spruce squirrel star stone stork stream sun swan thistle thunder tiger trail tulip
tunnel turtle valley vase violet violin walnut water whale willow wind winter wolf wren zebra zephyr
"""

FIRST: Final = tuple(_FIRST_WORDS.split())
SECOND: Final = tuple(_SECOND_WORDS.split())
NAMES_COUNT: Final = len(FIRST) * len(SECOND)


def two_words(number: int) -> str:
    """Give the name of that number, ``brave-otter``; there are `NAMES_COUNT`."""
    first, second = divmod(number % NAMES_COUNT, len(SECOND))
    return f"{FIRST[first]}-{SECOND[second]}"
