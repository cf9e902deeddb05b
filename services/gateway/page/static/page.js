// Live refresh and the like come here. Everything works without this file.
