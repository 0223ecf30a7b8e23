"""Go's text/template, as far as ``--format`` of docker-machine and docker uses it.

The set: fields, variables, pipelines, literals, ``if``, ``range``, ``with``, ``else``, ``break``, ``continue``,
comments, trim markers, and the functions in ``functions``. What Go has beyond it (``define``, ``template``,
``block``, ``html``, ``js``, ``urlquery``, ``slice``, ``call``) is an error that says so. https://pkg.go.dev/text/template
"""

from pymachine.gotemplate.errors import TemplateError
from pymachine.gotemplate.functions import PRINTABLE
from pymachine.gotemplate.template import Template
from pymachine.gotemplate.values import Struct, decoded

__all__ = ["PRINTABLE", "Struct", "Template", "TemplateError", "decoded"]
