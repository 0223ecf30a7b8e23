"""A test EC2: moto's server in a process of its own, behind a layer that makes it as strict as AWS.

In a test, with ``from lab.ec2.fixtures import *`` in the conftest (tests/contract and tests/lab have it):

    def test_create(ec2: Ec2Server) -> None:
        env = ec2.program_environ("eu-central-1")                    # for the real CLI as a subprocess
        ec2.client("ec2", "eu-central-1").describe_instances()       # for boto3 in the test
        assert [call.action for call in ec2.calls()] == ["DescribeInstances"]

- ``ec2.reset(instance_unseen=0, pending_ms=0, …)``, ``ec2.set(…)``: lab.ec2.world.Settings lists what can be set.
- ``ec2.inject(faults.throttled(action="DescribeInstances", nth=2, times=3))``: lab.ec2.faults has the constructors;
  ``call=N`` instead of nth counts all calls since the reset, for tests that go through every call of a command.
- ``ec2.kill_at(lambda: Popen(…), "after", action="RunInstances")`` kills a program with SIGKILL at a call.
- ``ec2.billed()`` and ``ec2.instances()`` ask without a call that would be counted.
- ``ec2.checkip`` answers the caller's address like checkip.amazonaws.com.
- A request that moto cannot do is answered LabUnimplemented; ``ec2.log`` has the traceback.
- ``booting_ec2`` (lab.ec2.booting) is the same with hosts of the lab behind the instances of us-east-1: cloud-init
  runs their user-data, addresses, power and console are real, EC2 Instance Connect keys open them for a minute.
- Images: lab.ec2.catalogue. The account is 123456789012; each region has a default VPC with public subnets.
- An instance profile must exist: make it with ``ec2.client("iam")`` (create_instance_profile).
"""
