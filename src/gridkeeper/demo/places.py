"""Where the sample federation computes: its resources, what each runs, and what of it is local."""

from __future__ import annotations

from dataclasses import dataclass, field

SACCT, CONDOR, GRATIA = "sacct", "condor-history", "gratia-xml"


@dataclass(frozen=True)
class Place:
    """One resource (or access point), with one probe that reports it.

    machine:  what it calls itself: the Slurm cluster, the schedd, or the host of the CE.
    weights:  how much of each VO it runs, in parts of that VO's weights.
    system:   the kind of probe.
    x509:     whether its ads name the user's VO; without, the accounting group has to say.
    cpu_given: False where the batch system reports no CPU time.
    """

    name: str
    site: str
    facility: str
    format: str
    machine: str
    weights: dict[str, float]
    owners: dict[str, int] = field(default_factory=dict)
    system: str = "slurm"
    x509: bool = True
    cpu_given: bool = True
    access_point: bool = False

    @property
    def probe(self) -> str:
        """The name of its probe: what it watches, and where."""
        return f"{self.system}:{self.host}"

    @property
    def host(self) -> str:
        """The host name of the machine."""
        return (
            self.machine if "." in self.machine else f"{self.machine.lower().replace('_', '-')}.example.edu"
        )


def _slurm(name: str, site: str, facility: str, weights: dict[str, float], owners: dict[str, int] | None = None, machine: str = "") -> Place:  # fmt: skip
    return Place(name, site, facility, SACCT, machine or name, weights, owners or {})


def _condor(name: str, site: str, facility: str, machine: str, weights: dict[str, float], owners: dict[str, int], x509: bool = True) -> Place:  # fmt: skip
    return Place(name, site, facility, CONDOR, machine, weights, owners, system="condor", x509=x509)


def _gratia(name: str, site: str, facility: str, machine: str, weights: dict[str, float], system: str = "htcondor-ce", **more: bool) -> Place:  # fmt: skip
    return Place(name, site, facility, GRATIA, machine, weights, {}, system=system, **more)


PLACES: tuple[Place, ...] = (
    _slurm("AGLT2_SL6", "AGLT2", "University of Michigan", {"atlas": 16, "osg": 3}, {"atlas": 100}, "aglt2"),
    _slurm("MWT2_CE_UC", "MWT2", "University of Chicago", {"atlas": 27, "osg": 7, "glow": 6}, {"atlas": 100}, "mwt2"),
    _condor("BNL-ATLAS", "BNL-ATLAS", "Brookhaven National Laboratory", "gridgk01.bnl.example.org", {"atlas": 13}, {"atlas": 100}),
    _slurm("SWT2_CPB", "SWT2", "University of Texas at Arlington", {"atlas": 13, "osg": 1.5, "dosar": 4}, {"atlas": 100}),
    _slurm("OU_OCHEP_SWT2", "OU_OCHEP_SWT2", "University of Oklahoma", {"atlas": 5, "osg": 2, "dosar": 5}, {"atlas": 90, "dosar": 10}),
    _slurm("BU_ATLAS_Tier2", "NET2", "Boston University", {"atlas": 11, "osg": 2.5}, {"atlas": 100}),
    _slurm("WT2", "WT2", "SLAC National Accelerator Laboratory", {"atlas": 14}, {"atlas": 100}),
    _gratia("Lucille_CE", "Lucille", "Langston University", "ce1.lucille.example.edu", {"atlas": 0.8, "osg": 0.6}),
    _slurm("USCMS-FNAL-WC1", "USCMS-FNAL-WC1", "Fermi National Accelerator Laboratory", {"cms": 30}, {"cms": 100}),
    _slurm("Nebraska", "Nebraska", "University of Nebraska", {"cms": 10, "osg": 5, "hcc": 10, "glow": 5}, {"cms": 90, "hcc": 10}, "red"),
    _slurm("Purdue-Hadoop", "Purdue", "Purdue University", {"cms": 11, "osg": 3}, {"cms": 100}, "hadoop"),
    _slurm("UCSDT2", "UCSD", "University of California San Diego", {"cms": 10, "osg": 4, "glow": 5, "icecube": 3}, {"cms": 100}),
    _slurm("CIT_CMS_T2", "Caltech", "California Institute of Technology", {"cms": 8, "osg": 3, "ligo": 2}, {"cms": 100}),
    _slurm("MIT_CMS", "MIT", "Massachusetts Institute of Technology", {"cms": 10, "osg": 3}, {"cms": 100}),
    _slurm("UFlorida-HPC", "Florida", "University of Florida", {"cms": 9, "osg": 3}, {"cms": 80}),
    _condor("GLOW", "Wisconsin", "University of Wisconsin", "cmsgrid01.wisc.example.edu", {"cms": 7, "glow": 20, "icecube": 3}, {"glow": 60, "cms": 40}, x509=False),
    _slurm("Vanderbilt", "Vanderbilt", "Vanderbilt University", {"cms": 4}, {"cms": 100}, "accre"),
    _gratia("UColorado_HEP", "Colorado", "University of Colorado", "hepse01.colorado.example.edu", {"cms": 1, "osg": 0.8}),
    _gratia("UMissHEP", "UMissHEP", "University of Mississippi", "umiss001.olemiss.example.edu", {"cms": 0.8}),
    _slurm("Cornell", "Cornell", "Cornell University", {"cms": 1, "osg": 2, "gluex": 1}, {}, "lnx"),
    _slurm("SU-ITS", "Syracuse", "Syracuse University", {"ligo": 3, "icecube": 4}, {"ligo": 20}, "orange"),
    _condor("FNAL_GPGrid", "FNAL_GPGrid", "Fermi National Accelerator Laboratory", "fifebatch1.fnal.example.org", {"fermilab": 1}, {"fermilab": 100}),
    _slurm("Utah-Kingspeak", "Utah", "University of Utah", {}, {"utah": 100}, "kingspeak.example.edu"),
    _gratia("Clemson-Palmetto", "Clemson", "Clemson University", "osggate.clemson.example.edu", {"osg": 2.2, "sbgrid": 2}),
    _slurm("Crane", "HCC-Crane", "University of Nebraska", {"hcc": 10, "osg": 5, "glow": 3}, {"hcc": 100}, "crane"),
    _slurm("Tusker", "HCC-Tusker", "University of Nebraska", {"hcc": 7, "osg": 5, "gluex": 2}, {"hcc": 100}, "tusker"),
    _slurm("Sandhills", "HCC-Sandhills", "University of Nebraska", {"hcc": 4, "osg": 2, "sbgrid": 1}, {"hcc": 100}),
    _slurm("UConn-HPC", "UConn", "University of Connecticut", {"gluex": 9, "osg": 4, "glow": 2}, {"gluex": 60}),
    _slurm("JLab-SciComp", "JLab", "Thomas Jefferson National Accelerator Facility", {"gluex": 5}, {"gluex": 100}),
    _gratia("SBGrid-Harvard-East", "SBGrid", "Harvard Medical School", "abitibi.sbgrid.example.org", {"sbgrid": 8, "osg": 0.5}),
    _slurm("NERSC-PDSF", "NERSC", "Lawrence Berkeley National Laboratory", {"alice": 5}, {"alice": 60}),
    _gratia("LLNL-ALICE", "LLNL", "Lawrence Livermore National Laboratory", "aliceosg.llnl.example.org", {"alice": 3}),
    _slurm("NWICG_NDCMS", "Notre Dame", "University of Notre Dame", {"osg": 8, "glow": 4, "cms": 1}, {"cms": 50}),
    _gratia("TTU-ANTAEUS", "TTU", "Texas Tech University", "antaeus.ttu.example.edu", {"osg": 1, "dosar": 3}),
    _gratia("IIT_CE1", "IIT", "Illinois Institute of Technology", "iitgrid.iit.example.edu", {"osg": 0.8}),
    _slurm("Rice-RAPID", "Rice", "Rice University", {"osg": 3}),
    _gratia("UCR-HEP", "UCR", "University of California Riverside", "charm.ucr.example.edu", {"osg": 0.6, "cms": 0.6}),
    _gratia("Baylor-Kodiak", "Baylor", "Baylor University", "kodiak.baylor.example.edu", {"osg": 0.6, "glow": 0.6}, "pbs-lsf", cpu_given=False),
    _slurm("PNNL-Belle", "PNNL", "Pacific Northwest National Laboratory", {"belle": 1}, {"belle": 100}),
    _slurm("LIGO-CIT", "LIGO", "LIGO Laboratory", {"ligo": 5, "osg": 2}, {"ligo": 100}),
    _slurm("NPX", "IceCube", "Wisconsin IceCube Particle Astrophysics Center", {"icecube": 6}, {"icecube": 100}),
    _slurm("MSU-HPCC", "MSU", "Michigan State University", {"osg": 5, "icecube": 2}),
    _slurm("ISI-USC", "ISI", "University of Southern California", {"osg": 5, "glow": 3}),
    _slurm("IU-Karst", "Indiana", "Indiana University", {"osg": 4}),
    _slurm("Hyak", "Hyak", "University of Washington", {"osg": 5}),
    _slurm("GT-PACE", "Georgia Tech", "Georgia Institute of Technology", {"osg": 4, "ligo": 1}, {}, "pace"),
    _gratia("FLTECH", "FLTech", "Florida Institute of Technology", "uscms1.fltech.example.edu", {"cms": 0.6, "osg": 0.4}),
    _gratia("OSG-SUBMIT", "OSG-SUBMIT", "Open Science Grid", "osg-submit.example.org", {}, "condor", access_point=True),
    Place("OSG-SUBMIT2", "OSG-SUBMIT2", "Open Science Grid", CONDOR, "osg-submit2.example.org", {}, system="condor", access_point=True),
)  # fmt: skip
BY_NAME = {place.name: place for place in PLACES}
ACCESS_POINTS = tuple(place.name for place in PLACES if place.access_point)
UTAH = "Utah-Kingspeak"
FERMILAB = "FNAL_GPGrid"
WITH_GPUS = "Crane"
GPU_MODEL = "k20"

# The 28 sites where Fermilab's experiments ran away from home, and what part of it at each.
OFFSITE: dict[str, float] = {
    "GLOW": 14, "MWT2_CE_UC": 12, "Nebraska": 10, "SU-ITS": 9, "UCSDT2": 8, "CIT_CMS_T2": 7, "MIT_CMS": 6, "Crane": 6, "Tusker": 5,
    "Purdue-Hadoop": 5, "UFlorida-HPC": 4, "NWICG_NDCMS": 4, "OU_OCHEP_SWT2": 4, "SWT2_CPB": 3, "Hyak": 3, "BU_ATLAS_Tier2": 3, "WT2": 3,
    "AGLT2_SL6": 3, "Clemson-Palmetto": 2, "Cornell": 2, "UConn-HPC": 2, "Rice-RAPID": 2, "MSU-HPCC": 2, "Sandhills": 1, "TTU-ANTAEUS": 1,
    "UCR-HEP": 1, "IIT_CE1": 1, "FLTECH": 1,
}  # fmt: skip
# What ran there that no grid sent: (account, VO it is booked for, core hours a day at full size).
LOCAL: dict[str, tuple[tuple[str, str, int], ...]] = {
    "Utah-Kingspeak": (("physics", "utah", 14_000), ("chemistry", "utah", 10_000)),
    "Crane": (("biology", "unl", 18_000), ("engineering", "unl", 12_000)),
    "Tusker": (("chemistry", "unl", 16_000),),
    "Purdue-Hadoop": (("physics", "purdue", 20_000),),
    "Hyak": (("astro", "uw", 15_000),),
}
# One small account that nobody has mapped yet: (resource, account, core hours a day at full size).
UNMAPPED = ("Hyak", "guestlab", 900)


def weights_of(vo: str) -> dict[str, float]:
    """What part of a VO each resource runs."""
    return {place.name: place.weights[vo] for place in PLACES if vo in place.weights}
