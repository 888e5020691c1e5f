"""What the complaints of a parser mean to the person who typed the command."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jsonargparse import ArgumentParser

PLAIN: dict[Any, str] = {
    int: 'a whole number',
    float: 'a number',
    bool: 'true or false',
    str: 'text',
    type(None): 'null',
}
KEY = re.compile(r'Parser key "([\w.\[\]-]+)"(?: element \d+)?: ?')
WITHIN = re.compile(
    r'Does not validate .*? Errors: (?:- Expected a .*? )?- (?!Expected a)(.*?)'
    r'(?= - Expected a | Given value type)'
)
"""What a group of settings that may be null says against its values when it is made."""
VALUE = re.compile(
    r"""(?:(?:Got|Given) value:|Unable to load config) ?"""
    r"""(.*?)(?= - Expected | - Parser key | Subclass types |$)"""
)


def sentence(message: str, parser: ArgumentParser) -> str:
    """A complaint of jsonargparse as a sentence: which argument, what it is, what is expected.

    Args:
        message: what it says, on one line.
        parser: whose arguments they are.
    """
    if found := re.fullmatch(r'the following arguments are required: (.*)', message):
        names = (_flag(name, parser) for name in found[1].split(', '))
        return f'what is missing: {", ".join(names)}; see --help'
    if found := re.fullmatch(r'unrecognized arguments: (.*)', message):
        return _unknown(found[1], parser)
    if found := re.fullmatch(r'argument (.*?): expected (one|at least one) argument', message):
        return f'{found[1].split("/")[-1]} needs a value'
    if found := re.fullmatch(r"argument (\S+): ignored explicit argument '(.*)'", message):
        return f'{found[1].split("/")[-1]} takes no value; leave {found[2]!r} out'
    if found := re.match(r'expected "\w+" to be one of \{(.*)\}, but it was not', message):
        return f'say what: {_subcommands(parser) or found[1]}'
    if found := re.fullmatch(
        r'argument (\S+): invalid choice: (.*) \(choose from (.*)\)', message
    ):
        choices = re.findall(r"'([^']*)'", found[3])
        return _refused(found[1].split('/')[-1], found[2].strip("'"), choices)
    if found := WITHIN.match(message):
        return found[1]
    return _wrong_value(message, parser)


def describe(hint: Any) -> str:
    """What a value of some type is called, such as 'a whole number or null'."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return _either(map(str, options))
    if origin in (typing.Union, types.UnionType):
        return _either(map(describe, options))
    if origin is tuple and Ellipsis not in options:
        return f'a list of {len(options)} values like [{", ".join(["1"] * len(options))}]'
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return 'names and values like {road: 1}'
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f'a list, each {describe(options[0])}'
    return 'a group of settings' if dataclasses.is_dataclass(hint) else 'something else'


def _wrong_value(message: str, parser: ArgumentParser) -> str:
    keys = [key for key in KEY.findall(message) if key != 'config']
    value = VALUE.search(message)
    hint = _hint(keys, parser) if keys and value is not None else None
    if hint is None or value is None:
        return _untyped(message)
    # Of nested complaints, the innermost one names the last part of the name.
    name = keys[0]
    for key in keys[1:]:
        name = key if key.startswith(f'{name}.') or key == name else f'{name}.{key}'
    if typing.get_origin(hint) is Literal:
        return _refused(_flag(name, parser), value[1], list(map(str, typing.get_args(hint))))
    text = value[1].strip('\'"')
    return f'{_flag(name, parser)} is {text!r}, expected {describe(hint)}'


def _untyped(message: str) -> str:
    if found := re.match(KEY.pattern + r"Unable to load config '(.*?)'", message):
        return f'{found[1]} is {found[2]!r}, expected a group of settings; set them one by one'
    text = KEY.sub(r'\1: ', message)
    return re.sub(r"Option '(.*?)' is not accepted", r"there is no setting '\1'", text)


def _refused(name: str, value: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(value, choices, 1)
    hint = f'; did you mean {near[0]}?' if near else ''
    return f'{name} is {value!r}, expected {_either(choices)}{hint}'


def _unknown(text: str, parser: ArgumentParser) -> str:
    first = text.split()[0]
    if not first.startswith('-'):
        return f'there is an argument too many: {first}; see --help'
    name = first.partition('=')[0]
    flags = [flag for action in parser._actions for flag in action.option_strings]
    # Both spellings occur, --no-strict and --window_size.
    alike = {flag.replace('_', '-'): flag for flag in flags}
    near = difflib.get_close_matches(name.replace('_', '-'), alike, 1)
    hint = f'did you mean {alike[near[0]]}?' if near else 'see --help'
    return f'there is no argument {name}; {hint}'


def _flag(name: str, parser: ArgumentParser) -> str:
    """How an argument is typed; settings of a run may stand in a file, so they have no dashes."""
    action = _action(name, parser)
    flags = [flag for flag in getattr(action, 'option_strings', ()) if flag.startswith('--')]
    if not flags or '--config' in parser._option_string_actions:
        return name
    return str(flags[0])


def _action(name: str, parser: ArgumentParser) -> Any:
    return next((action for action in parser._actions if action.dest == name), None)


def _hint(keys: Sequence[str], parser: ArgumentParser) -> Any:
    """The type of the argument, or of the part of it that the last key names; None if unknown."""
    hint = getattr(_action(keys[0], parser), '_typehint', None)
    for key in keys[1:]:
        if key.startswith(keys[0]):
            found = getattr(_action(key, parser), '_typehint', None)
            hint = found if found is not None else hint
            continue
        for part in key.split('.'):
            hint = _part(hint, part)
    return hint


def _part(hint: Any, name: str) -> Any:
    for option in (hint, *typing.get_args(hint)):
        if dataclasses.is_dataclass(option) and isinstance(option, type):
            return typing.get_type_hints(option).get(name)
    return None


def _subcommands(parser: ArgumentParser) -> str:
    choices = (action.choices for action in parser._actions if action.dest == 'what')
    return _either(next(choices, None) or ())


def _either(options: Any) -> str:
    *firsts, last = options or ('',)
    return f'{", ".join(firsts)} or {last}' if firsts else last
