"""How the value of an option is written, where its type does not say that."""

from enum import Enum, auto


class Form(Enum):
    """A way to write values. The others, such as a text or a number, follow from the type."""

    PLAIN = auto()
    PAIRS = auto()  # key=value; a mapping in a file
    SECRETS = auto()  # the same, with values that a file may keep elsewhere
    FLAGS = auto()  # flag=value or a flag alone; a list or a mapping in a file
    HOSTS = auto()  # several in one text, joined by commas
    SOURCE = auto()  # a word, a URL, or a file that is read
