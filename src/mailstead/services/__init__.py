"""Thin shells around use cases: smtp (mx, submission), imap, pop3. Strangers to each other.

May import: usecases, net, proto, and the types of ports and model. Start reading at `smtp.session`.
"""
