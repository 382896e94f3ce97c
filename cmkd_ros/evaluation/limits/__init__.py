# SPDX-License-Identifier: Apache-2.0
"""How well anybody could do in an episode: the best plan found with perfect foresight, and a proven bound below it.

`best_plan` refines other controllers' actions by `moves` in the true world. `bound` is the value of a linear
`programme` that only leaves constraints out: `ceilings` and `envelopes` say how far hidden quantities can go,
`relaxing` and `relaxed_room` write it.
"""
