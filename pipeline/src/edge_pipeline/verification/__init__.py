"""Graph and fitted model are asked the same rows, chosen to hurt; equal answers alone pass."""
