"""Our modules and theirs, where several families share them; `*` is the layer's number."""

from __future__ import annotations

from collections.abc import Mapping

LLAMA: Mapping[str, str] = {
    "embedding": "model.embed_tokens",
    "blocks.*.attention_norm": "model.layers.*.input_layernorm",
    "blocks.*.attention.q": "model.layers.*.self_attn.q_proj",
    "blocks.*.attention.k": "model.layers.*.self_attn.k_proj",
    "blocks.*.attention.v": "model.layers.*.self_attn.v_proj",
    "blocks.*.attention.out": "model.layers.*.self_attn.o_proj",
    "blocks.*.feedforward_norm": "model.layers.*.post_attention_layernorm",
    "blocks.*.feedforward.gate": "model.layers.*.mlp.gate_proj",
    "blocks.*.feedforward.up": "model.layers.*.mlp.up_proj",
    "blocks.*.feedforward.down": "model.layers.*.mlp.down_proj",
    "final_norm": "model.norm",
    "unembedding": "lm_head",
}

_BART_BLOCK = {
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.out": "self_attn.out_proj",
    "attention_norm": "self_attn_layer_norm",
    "cross_attention.q": "encoder_attn.q_proj",
    "cross_attention.k": "encoder_attn.k_proj",
    "cross_attention.v": "encoder_attn.v_proj",
    "cross_attention.out": "encoder_attn.out_proj",
    "cross_attention_norm": "encoder_attn_layer_norm",
    "feedforward.up": "fc1",
    "feedforward.down": "fc2",
    "feedforward_norm": "final_layer_norm",
}

# BART, and Marian, which is built like it.
BART: Mapping[str, str] = {
    "embedding": "model.decoder.embed_tokens",
    "source_embedding": "model.encoder.embed_tokens",
    "output_bias": "output_bias",
    **{
        f"{stack}.blocks.*.{ours}": f"model.{stack}.layers.*.{theirs}"
        for stack in ("encoder", "decoder")
        for ours, theirs in _BART_BLOCK.items()
    },
    **{f"{stack}.embedding_norm": f"model.{stack}.layernorm_embedding" for stack in ("encoder", "decoder")},
    **{f"{stack}.position.table": f"model.{stack}.embed_positions" for stack in ("encoder", "decoder")},
}
