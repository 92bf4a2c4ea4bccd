"""What a setting must not change. Each invariant is one folder: what must hold and its planted bugs in the
package, the checks in `checks`, which needs torch.
"""
