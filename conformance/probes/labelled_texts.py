"""Support requests with the category a person gave them. No server under test can have been fitted on them."""

from __future__ import annotations

CATEGORIES = frozenset({"account", "billing", "other", "shipping", "technical"})

LABELLED = (
    ("billing", "You debited 40 euros although my contract says 30"),
    ("technical", "After the latest update the program closes by itself"),
    ("account", "Remove the access of a colleague who has left"),
    ("shipping", "The driver put my parcel behind the bins"),
    ("other", "Could we invite one of you to speak at our conference?"),
    ("billing", "Could I get a copy of my last invoice for the tax office?"),
    ("technical", "The endpoint answers with a timeout when I send large files"),
    ("account", "Please close my profile and erase everything you know about me"),
    ("shipping", "My order was promised for Monday and is still not here"),
    ("other", "Do you take interns in summer?"),
    ("billing", "I want my money back for the second charge"),
    ("technical", "Nothing happens when I press the print button"),
    ("account", "I cannot sign in, it says my password is wrong"),
    ("shipping", "Can you send it to my neighbour instead?"),
    ("other", "I love what you do, keep going!"),
    ("billing", "Paying by card keeps failing, is my bank the reason?"),
    ("technical", "The app shows a blank screen on my tablet"),
    ("account", "How do I switch the mail address that I log in with?"),
    ("shipping", "The vase was in pieces when I opened the box"),
    ("other", "Where is your nearest shop?"),
    ("billing", "Why is my bill higher than last quarter?"),
    ("technical", "Your website is unreachable from our network"),
    ("account", "The code for the second factor does not reach my phone"),
    ("shipping", "How do I track what I ordered yesterday?"),
)
"""Four out of five are plain; the rest has words of another category, as real requests do. In turn, so that the first
ones are of all categories."""

FIRST = LABELLED[:5]
"""Those that are asked of every classifier, one after the other."""

NONSENSE = ("qwpoeiru zmxncb", "lorem ipsum dolor sit amet", "7 7 7 7 7")
SPACED = "The   endpoint answers with a  timeout\n when I send\tlarge files  "
"""One of the labelled texts, with other white space."""
SPACED_TWIN = 6
