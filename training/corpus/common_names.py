"""Common names of people and places, in English and German: what stands for those of a writer's texts.

None ends in s, x or z, so that any of them can have an ending.
"""

from enum import Enum, auto


class Kind(Enum):
    """What a name is of."""

    WOMAN = auto()
    MAN = auto()
    FAMILY = auto()
    PLACE = auto()


ENGLISH = {
    Kind.WOMAN: """
        Alice Amelia Amy Angela Anna Audrey Barbara Beatrice Caroline Catherine Charlotte Clara Claire
        Diana Dorothy Edith Eleanor Elizabeth Ellen Emily Emma Esther Eva Evelyn Fiona Florence Hannah
        Harriet Helen Irene Isabel Jane Janet Joan Judith Julia Karen Laura Linda Lucy Margaret Maria
        Marion Martha Mary Nancy Nora Olivia Patricia Rachel Rebecca Ruth Sarah Sophia Susan Sylvia Teresa
        Victoria
        """,
    Kind.MAN: """
        Adam Adrian Alan Albert Alexander Alfred Andrew Anthony Arnold Arthur Benjamin Brian Daniel David
        Donald Edgar Edmund Edward Eric Ernest Frank Frederick Geoffrey George Gerald Gilbert Harold Harry
        Henry Herbert Hugh Jacob John Jonathan Joseph Kenneth Leonard Martin Matthew Michael Nathan Oliver
        Oscar Patrick Paul Peter Philip Ralph Raymond Richard Robert Roger Samuel Simon Stephen Timothy
        Victor Walter William
        """,
    Kind.FAMILY: """
        Allen Anderson Atkinson Bailey Barnett Bennett Bradley Bryant Campbell Chapman Clark Coleman
        Collier Crawford Davidson Dawson Dixon Elliott Ellison Fletcher Gibson Graham Griffin Hamilton
        Harper Harrison Henderson Howard Hudson Jackson Johnson Kelly Lambert Lawson Marshall Mitchell
        Morgan Murphy Murray Nelson Newton Norton Osborne Palmer Pearson Peterson Powell Preston
        Richardson Robertson Robinson Russell Simpson Spencer Stanley Stewart Sullivan Taylor Thompson
        Walton Watson Webster Wilson
        """,
    Kind.PLACE: """
        Aberdeen Ashford Bedford Belfast Berlin Boston Bradford Brighton Bristol Cairo Cambridge
        Canterbury Carlisle Chester Chicago Denver Dover Dublin Durham Edinburgh Exeter Geneva Glasgow
        Gloucester Hamburg Hampton Hartford Lancaster Lincoln Lisbon Liverpool London Madrid Manchester
        Melbourne Milan Munich Newport Norwich Oxford Plymouth Portland Richmond Rome Salisbury Sheffield
        Stratford Sydney Venice Vienna Warwick Winchester Windsor York
        """,
}
GERMAN = {
    Kind.WOMAN: """
        Agathe Amalie Anna Antonie Barbara Beate Berta Brigitte Charlotte Clara Dora Dorothea Elisabeth
        Elsa Emilie Emma Erika Erna Eva Franziska Frieda Gertrud Gisela Greta Hanna Hedwig Helene
        Henriette Hilde Ida Ingrid Irene Johanna Josefine Julia Karla Karoline Katharina Klara Lina Lotte
        Luise Magda Margarete Maria Martha Mathilde Minna Monika Olga Ottilie Paula Petra Renate Sabine
        Sofie Susanne Therese Ursula Wilhelmine
        """,
    Kind.MAN: """
        Adam Albert Alfred Anton Arnold Arthur August Bernhard Bruno Christian Daniel Dietrich Eduard Emil
        Erich Erwin Eugen Ferdinand Friedrich Georg Gottfried Günther Gustav Heinrich Helmut Herbert
        Hermann Hugo Jakob Johann Josef Julian Karl Konrad Kurt Leo Leopold Ludwig Martin Michael Oskar
        Otto Paul Peter Philipp Reinhold Richard Robert Rudolf Stefan Theodor Ulrich Viktor Walter Werner
        Wilhelm Wolfgang
        """,
    Kind.FAMILY: """
        Albrecht Bauer Beck Becker Behrendt Bergmann Böhm Brandt Busch Engel Fischer Förster Haber Hahn
        Hartmann Heinemann Herrmann Hofmann Huber Jäger Keller Köhler Kramer Krause Krüger Lehmann Lindner
        Maier Meyer Möller Müller Neumann Pfeiffer Pohl Richter Roth Sauer Schäfer Schmidt Schneider
        Schreiber Schröder Schubert Schulze Schumann Schuster Seidel Sommer Thiele Vogel Vogt Wagner Weber
        Wegner Winkler Winter Wolf Zimmermann
        """,
    Kind.PLACE: """
        Altona Ansbach Augsburg Bamberg Berlin Bonn Bremen Breslau Celle Danzig Dresden Eisenach Emden
        Erfurt Essen Flensburg Frankfurt Freiburg Fulda Gotha Göttingen Halle Hamburg Hannover Heidelberg
        Innsbruck Jena Kassel Kiel Köln Königsberg Landshut Lübeck Magdeburg Mannheim Marburg Meran Minden
        Nürnberg Oldenburg Passau Potsdam Regensburg Rostock Salzburg Schwerin Stettin Stralsund Stuttgart
        Trier Tübingen Ulm Weimar Wien Wismar
        """,
}
COMMON_NAMES = {
    language: {kind: tuple(names.split()) for kind, names in lists.items()}
    for language, lists in (("en", ENGLISH), ("de", GERMAN))
}
