"""Models whose metadata are XML files: Power Pivot workbooks and Analysis Services 2012 and 2014 tabular."""
