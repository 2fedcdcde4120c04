"""Networks that others trained: loaded as safetensors, never running code of theirs; frozen features kept on disk."""
