"""Names into the chat templates that a checkpoint without one, or with an unfit one, can be trained on.

Each marks what the assistant says and the token that ends it (`{% generation %}`), as transformers and TRL read it.
"""

from collections.abc import Mapping

__all__ = ["CHATS", "END", "START"]

START, END = "\0START", "\0END"  # what the tokenizer puts before a text, and its end of text


def _template(head: str, read: str, said: str, prompt: str) -> str:
    """A template of a turn that is read, one that is said, and what asks for the next one."""
    learned = f"{{% generation %}}{said}{{% endgeneration %}}"
    turn = f"{{% if message['role'] == 'assistant' %}}{prompt}{learned}{{% else %}}{read}{{% endif %}}"
    return f"{head}{{% for message in messages %}}{turn}{{% endfor %}}{{% if add_generation_prompt %}}{prompt}{{% endif %}}"


CHATS: Mapping[str, tuple[str, tuple[str, ...]]] = {  # with the tokens that a tokenizer must have for it
    # OpenAI's Chat Markup Language, as Qwen and SmolLM write it; no system message is made up.
    "chatml": (
        _template(
            "",
            "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}",
            "{{ message['content'] + '<|im_end|>\n' }}",
            "{{ '<|im_start|>assistant\n' }}",
        ),
        ("<|im_start|>", "<|im_end|>"),
    ),
    # Meta's Llama 3, without the lines about dates and tools of 3.1.
    "llama3": (
        _template(
            "{{ '<|begin_of_text|>' }}",
            "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}",
            "{{ message['content'] | trim + '<|eot_id|>' }}",
            "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}",
        ),
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    # Stanford Alpaca (Taori et al. 2023); later turns as LLaMA-Factory has them.
    "alpaca": (
        _template(
            START
            + "{% if messages[0]['role'] != 'system' %}{{ 'Below is an instruction that describes a task. "
            + "Write a response that appropriately completes the request.' }}{% endif %}",
            "{% if message['role'] == 'system' %}{{ message['content'] }}{% else %}"
            + "{{ '\n\n### Instruction:\n' + message['content'] + '\n\n### Response:\n' }}{% endif %}",
            "{{ message['content'] }}" + END,
            "",
        ),
        (),
    ),
    # For checkpoints that never saw a chat: what is read, a blank line, what is said, the end of text. It names no roles.
    "plain": (_template(START, "{{ message['content'] + '\n\n' }}", "{{ message['content'] }}" + END, ""), ()),
}
