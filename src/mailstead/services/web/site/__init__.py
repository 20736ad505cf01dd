"""Pages for people who log in: administration, self-service and webmail, rendered on the server.

`pages` says what a page is and who may see it, `frame` makes it, `languages` has its words, `assets` its styles and
scripts. Modules with pages hold a tuple ``PAGES``; `table` finds them all.
"""
