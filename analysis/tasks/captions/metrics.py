"""The metrics of COCO's caption evaluation, by the package `pycocoevalcap`."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from modtrans_core.checks import refuse_unless
from modtrans_core.extras import require

BLEU = tuple(f"bleu_{n}" for n in (1, 2, 3, 4))


def has_java() -> bool:
    """Whether Java is there, which the Penn Treebank tokenizer and METEOR need."""
    return shutil.which("java") is not None


def score_captions(
    captions: Sequence[str], references: Sequence[Sequence[str]], *, tokenized: bool = False, meteor: bool = False
) -> dict[str, float | str]:
    """How near captions come to the references of their items.

    Parameters
    ----------
    captions : one an item (n,).
    references : of each item, one or more; those without a word are passed over.
    tokenized : the texts are those of `tokenize` already.
    meteor : also METEOR, which needs Java.

    Returns
    -------
    `bleu_1` to `bleu_4` (Papineni et al. 2002) and `rouge_l` (Lin 2004), 0 to 1; `cider` (Vedantam et al. 2015), 0 to
    10, whose weights of words come from these references; `meteor` (Denkowski and Lavie 2014), 0 to 1, where asked for;
    and `tokens`, by what the texts were cut: given, PTB or words.

    Raises
    ------
    ValueError
        No captions, another number of references, an item without one that has a word; METEOR without Java.

    Examples
    --------
    >>> found = score_captions(["a cat"], [["a cat", "one cat"]], tokenized=True)
    >>> found["bleu_1"] > 0.99, found["rouge_l"], found["tokens"]
    (True, 1.0, 'given')
    """
    _refuse_no_texts("captions", captions)
    refuse_unless(len(captions) > 0, "captions", 0, "at least 1")
    refuse_unless(
        len(references) == len(captions), "references", len(references), f"one list a caption, {len(captions)},"
    )
    for item, several in enumerate(references):
        _refuse_no_texts("references", several)
        refuse_unless(len(several) > 0, "references", f"none of item {item}", "at least 1")
    refuse_unless(not meteor or has_java(), "meteor", True, "Java")
    require("pycocoevalcap", "downstream")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    flat, tokens = [*captions, *(text for several in references for text in several)], "given"
    if not tokenized:
        flat, tokens = tokenize(flat)
    rest = iter(flat[len(captions) :])
    said = {item: [text] for item, text in enumerate(flat[: len(captions)])}
    true = {item: [text for _ in several if (text := next(rest))] for item, several in enumerate(references)}
    for item, several in true.items():  # as of "...", of which no token is left
        refuse_unless(len(several) > 0, "references", list(references[item]), f"a word in one of item {item}'s")
    found: dict[str, float | str] = dict(zip(BLEU, Bleu(4).compute_score(true, said, verbose=0)[0], strict=True))
    found |= {"rouge_l": float(Rouge().compute_score(true, said)[0])}
    found |= {"cider": float(Cider().compute_score(true, said)[0])}
    if meteor:
        from pycocoevalcap.meteor.meteor import Meteor

        found["meteor"] = float(Meteor().compute_score(true, said)[0])
    return {**found, "tokens": tokens}


def _refuse_no_texts(name: str, texts: Sequence[str]) -> None:
    """Refuse a text, whose letters would be taken for texts, and what holds others than texts."""
    several = hasattr(texts, "__len__") and not isinstance(texts, str)
    fits = several and all(isinstance(one, str) for one in texts)
    refuse_unless(fits, name, texts, "a list of texts")


def tokenize(texts: Sequence[str]) -> tuple[list[str], str]:
    """The texts as tokens between single spaces, and by what they were cut.

    Returns
    -------
    One text of tokens each, (n,); and `PTB`: lower case, by Stanford's Penn Treebank tokenizer, less the punctuation,
    as COCO's evaluation does it; or, without Java, `words`: lower case, runs of letters and digits.
    """
    lines = [" ".join(text.split()) for text in texts]  # the tokenizer takes one text a line
    if not has_java():
        return [" ".join(re.findall(r"\w+(?:'\w+)?", line.lower())) for line in lines], "words"
    require("pycocoevalcap", "downstream")
    from pycocoevalcap.tokenizer import ptbtokenizer as ptb

    jar = Path(ptb.__file__).with_name(ptb.STANFORD_CORENLP_3_4_1_JAR)
    command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    done = subprocess.run(command, input="".join(f"{line}\n" for line in lines).encode(), capture_output=True)
    found = [line.split(" ") for line in done.stdout.decode().split("\n")[:-1]]
    said = done.stderr.decode(errors="replace").strip()
    refuse_unless(len(found) == len(lines), "java", said, "one that runs Stanford's tokenizer")
    return [" ".join(token for token in line if token not in ptb.PUNCTUATIONS) for line in found], "PTB"
