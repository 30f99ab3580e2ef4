"""From a photograph and a trimap, or what stands for one, to mattes and cut-outs."""
