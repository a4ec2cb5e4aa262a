"""``python tiny_model.py FOLDER HUB_HOME``: a small Llama with random weights and a tokenizer trained on the spot.

Nothing is downloaded. It runs inside the environment of ``transformers serve``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"]
START, END, PAD = 0, 3, 4
CONTEXT = 512  # tokens
SENTENCES = [
    "hello world this is a small test corpus for the tokenizer",
    "the weather in the city is blue and the sky is clear",
    "user assistant system stream server client model answer question",
    "one two three four five six seven eight nine ten words",
    "write a very long story about a dog and a cat in the house",
]
CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a chat template."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIAL, initial_alphabet=alphabet)
    bpe.train_from_iterator(SENTENCES * 50, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=SPECIAL[START],
        eos_token=SPECIAL[END],
        pad_token=SPECIAL[PAD],
        model_max_length=CONTEXT,
    )
    made.chat_template = CHAT
    return made


def model(vocabulary: dict[str, int]) -> LlamaForCausalLM:
    """Random weights, but only whole words and the end can be the next token, so that it writes readable text."""
    torch.manual_seed(7)
    made = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=32,
            max_position_embeddings=CONTEXT,
            bos_token_id=START,
            eos_token_id=END,
            pad_token_id=PAD,
            tie_word_embeddings=False,
        )
    )
    words = [i for t, i in vocabulary.items() if t.startswith("Ġ") and t[1:].isalpha() and len(t) > 3]
    with torch.no_grad():
        head = torch.zeros_like(made.lm_head.weight)
        chosen = [*sorted(words), END]
        head[chosen] = torch.randn(len(chosen), head.shape[1]) * 0.5
        made.lm_head.weight.copy_(head)
    made.generation_config = GenerationConfig(
        bos_token_id=START, eos_token_id=END, pad_token_id=PAD, do_sample=True, max_new_tokens=32
    )
    return made


def main(folder: Path, hub_home: Path) -> None:
    """Write the model once, and the empty folder in which the server looks for downloaded models."""
    (hub_home / "hub").mkdir(parents=True, exist_ok=True)
    if not (folder / "config.json").exists():
        made = tokenizer()
        made.save_pretrained(folder)
        model(made.get_vocab()).save_pretrained(folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
