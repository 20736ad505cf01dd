"""Messages as pages: which body is shown, HTML made harmless, plain text as HTML, images by their magic number.

May import: model, mime. Pure: addresses for remote and enclosed images come from callbacks. Start reading at `message`.

What is given out is for a frame without scripts, of its own origin and with its own policy (`document`); it does not
rely on them. nh3 is imported when the first HTML is shown, so that mail services never load it. (ADR 38.)
"""
