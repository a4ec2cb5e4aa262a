"""Support requests with the category a person gave them. No server under test can have been fitted on them."""

from __future__ import annotations

CATEGORIES = frozenset({"account", "billing", "other", "shipping", "technical"})

FIRST_LABELLED = (
    ("billing", "You debited 40 euros although my contract says 30"),
    ("technical", "After the latest update the program closes by itself"),
    ("account", "Remove the access of a colleague who has left"),
    ("shipping", "The driver put my parcel behind the bins"),
    ("other", "Could we invite one of you to speak at our conference?"),
)
"""Those that are asked of every classifier, one after the other."""

LABELLED = (
    ("billing", "Could I get a copy of my last invoice for the tax office?"),
    ("billing", "I want my money back for the second charge"),
    ("billing", "Paying by card keeps failing, is my bank the reason?"),
    ("billing", "Why is my bill higher than last quarter?"),
    ("technical", "The endpoint answers with a timeout when I send large files"),
    ("technical", "Nothing happens when I press the print button"),
    ("technical", "The app shows a blank screen on my tablet"),
    ("technical", "Your website is unreachable from our network"),
    ("account", "Please close my profile and erase everything you know about me"),
    ("account", "I cannot sign in, it says my password is wrong"),
    ("account", "How do I switch the mail address that I log in with?"),
    ("account", "The code for the second factor does not reach my phone"),
    ("shipping", "My order was promised for Monday and is still not here"),
    ("shipping", "Can you send it to my neighbour instead?"),
    ("shipping", "The vase was in pieces when I opened the box"),
    ("shipping", "How do I track what I ordered yesterday?"),
    ("other", "Do you take interns in summer?"),
    ("other", "I love what you do, keep going!"),
    ("other", "Where is your nearest shop?"),
)
"""Four out of five of all are plain; the rest has words of another category, as real requests do."""

NONSENSE = ("qwpoeiru zmxncb", "lorem ipsum dolor sit amet", "7 7 7 7 7")
SPACED = "The   endpoint answers with a  timeout\n when I send\tlarge files  "
"""One of the labelled texts, with other white space."""
SPACED_TWIN = 4
