"""Compare training methods: what each scores with how many labels, and which one to use.

``slices`` chooses the texts that a contender learns from and is judged on, ``baselines`` are the contenders that need
no training method, ``advice`` draws the conclusion, and ``page`` shows it.
"""
