"""Ranking: the area under the ROC curve is the share of pairs in the right order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsn.metrics.ranking import roc_auc

scored = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.5, 0.9])), min_size=1, max_size=12)


@given(scored)
def test_it_is_the_share_of_pairs_in_order(patches):
    tags, scores = (np.array(x)[:, None] for x in zip(*patches, strict=True))
    (auc,) = roc_auc(tags, scores)
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[tags] for n in scores[~tags]]
    if pairs:
        assert np.isclose(auc, np.mean(pairs))
    else:
        assert np.isnan(auc)
