"""Words that say nothing about what a text is about, in English and German."""

from training.corpus.languages import base_language

ENGLISH = frozenset(
    """
    a about above across after again against ago all almost along already also although always am among an
    and another any anyone anything are aren't around as at away back be became because become been before
    began behind being below beside besides between beyond both but by call called came can can't cannot
    come could couldn't day days did didn't do does doesn't doing don't done down during each either else
    enough even ever every everyone everything far few first for from get give given go going gone good
    got great had hadn't half has hasn't have haven't having he he'd he'll he's hence her here hers
    herself him himself his how however i i'd i'll i'm i've if in indeed instead into is isn't it it's its
    itself just kept knew know known last later least left less let like little long look looked looking
    made make making man many may me mean men might mine more most much must my myself near nearly neither
    never next no nobody none nor not nothing now of off often oh old on once one only onto or other
    others otherwise ought our ours ourselves out over own part perhaps place put quite rather really
    right round said same saw say says see seem seemed seen several shall she she'd she'll she's should
    shouldn't since so some someone something sometimes soon still such take taken tell than that that's
    the thee their theirs them themselves then there there's therefore these they they'd they're they've
    thing things think this those thou though thought three through thus thy till time to today together
    told too took toward towards turn turned two under until up upon us use used very want wanted was
    wasn't way we we'd we'll we're we've well went were weren't what what's whatever when whenever where
    whether which while who who's whole whom whose why will with within without woman won't word words
    would wouldn't year years yes yet you you'd you'll you're you've your yours yourself asked answered
    cried replied sat stood mr mrs miss sir dr chapter
    """.split()  # noqa: SIM905 (a list of a hundred lines reads worse)
)
GERMAN = frozenset(
    """
    ab aber alle allein allem allen aller alles als also alt alte alten am an andere anderem anderen
    anderer anderes anders auch auf aus bald bei beide beiden beim bin bis bist bitte bleiben blieb da
    dabei dadurch dafür dagegen daher dahin damals damit danach daneben dann daran darauf daraus darf
    darin darum darunter darüber das dass daß davon davor dazu dein deine deinem deinen deiner dem den
    denen denn dennoch der deren derselbe des deshalb dessen dich die dies diese diesem diesen dieser
    dieses dir doch dort du durch dürfen eben ebenso eigentlich ein eine einem einen einer eines einfach
    einige einigen einmal er erst erste ersten es etwa etwas euch euer eure fast für ganz ganze ganzen gar
    geben gegen gegenüber gehabt gehen geht gemacht genug gerade gern gesagt gewesen gewiß gewiss geworden
    ging gleich groß große großen gut gute guten habe haben habt hast hat hatte hatten hätte hätten her
    herr herrn heute hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im immer in indem
    ins ist ja jahr jahre je jede jedem jeden jeder jedes jedoch jene jenem jenen jener jenes jetzt kam
    kamen kann kannst kein keine keinem keinen keiner kommen kommt konnte konnten könne können könnte
    lassen ließ machen macht machte man manche mal mehr mein meine meinem meinen meiner meint mich mir mit
    muss musst musste muß mußte möchte mögen müssen nach nachdem nein nicht nichts nie niemand noch nun
    nur ob oben oder ohne recht sagen sagt sagte sah schon sehen sehr sei seien sein seine seinem seinen
    seiner seines seit selber selbst sich sie sieht sind so sobald sogar solch solche solchen sollen
    sollte sollten sondern sonst soviel stand statt tag tage tun tut um und uns unser unsere unserem
    unseren unserer unter viel viele vielen vielleicht vom von vor war ward waren warum was weg wegen weil
    weiter weiß welche welchem welchen welcher welches wenig wenn wer werde werden weshalb wie wieder will
    wir wird wirklich wissen wo wohl wollen wollte wollten worden wurde wurden während wäre wären würde
    würden zeit zu zuerst zum zur zurück zusammen zwar zwei zwischen über überhaupt frau fräulein kapitel
    """.split()  # noqa: SIM905 (a list of a hundred lines reads worse)
)
BY_LANGUAGE = {"en": ENGLISH, "de": GERMAN}


def stop_words(language: str) -> frozenset[str]:
    """Return the stop words of a language code such as `de` or `de-AT`; of other languages none are known."""
    return BY_LANGUAGE.get(base_language(language), frozenset())
