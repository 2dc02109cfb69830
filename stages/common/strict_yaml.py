"""YAML as it was meant: what PyYAML passes over in silence, or ends in a trace, is a line that says where."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from stages.common.errors import StudyError
from stages.common.messages import shown

MOST_BYTES = 1_000_000
MOST_KEYS = 100  # of a mapping: studies of a section, for one
# PyYAML reads 010 as 8 and 1:30 as 90, as YAML 1.1 has it; DVC reads 10 and a string, as YAML 1.2 has it.
AMBIGUOUS = re.compile(r"[-+]?0[0-7_]+|[^:]+(:[^:]+)+")
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _StrictLoader(yaml.SafeLoader):
    """Refuses what could mean two things, and says of all that it refuses where it stands."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """The mapping, if its keys differ; of two, PyYAML would take the last."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise fault(key, f"the key {shown(key.value)} occurs twice: remove one of them")
                seen.add((key.tag, key.value))
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what `<<` names; mappings that merge each other many times would fill the memory."""
        super().flatten_mapping(node)
        if len(node.value) > MOST_KEYS:
            raise fault(node, f"a mapping of {len(node.value):,} keys; at most {MOST_KEYS} are allowed")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Hashable:
        """The value of a node. PyYAML has exceptions of any kind for a number, a date or a tag that is none."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
            what = shown(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            raise fault(node, f"{what} is no {node.tag.rpartition(':')[2]}") from error

    def construct_scalar(self, node: yaml.ScalarNode) -> str:
        """The text of a scalar, if it is one number, or whole characters."""
        value = super().construct_scalar(node)
        if node.tag in NUMBERS and AMBIGUOUS.fullmatch(value):
            raise fault(node, f"{shown(value)} is not the same number to all readers of YAML: write it another way")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise fault(node, f"{shown(value)} has half a character")
        return value


def fault(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    """What is wrong with a node."""
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def read_yaml(path: Path) -> Any:
    """What a YAML file holds; a StudyError names the file, the line, and what is wrong there."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}; run from the project's root") from error
    if len(content) > MOST_BYTES:
        raise StudyError(f"{path}: {len(content):,} bytes; at most {MOST_BYTES:,} are allowed")
    try:
        return yaml.load(content.decode(), _StrictLoader)
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not UTF-8: byte {error.start} is {content[error.start]:#04x}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        wrong = "" if isinstance(error, yaml.constructor.ConstructorError) else " is not YAML"
        raise StudyError(f"{path}: line {mark.line + 1}{wrong}: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        raise StudyError(f"{path} is not YAML: character {error.position} is not allowed") from error
    except RecursionError as error:
        raise StudyError(f"{path}: collections are nested too deeply") from error
    # The scanner itself, of an escape for a character that no text can have.
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise StudyError(f"{path} is not YAML: {error}") from error
