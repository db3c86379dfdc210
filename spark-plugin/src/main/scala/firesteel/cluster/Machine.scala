package firesteel.cluster

import java.lang.management.ManagementFactory

import com.sun.management.OperatingSystemMXBean

/** The memory of the machine or container that a JVM runs on.
  *
  * @param memory
  *   the total memory, in bytes
  * @param heap
  *   the maximum size of the JVM's heap
  */
private[firesteel] final case class Machine(memory: Long, heap: Long) {

  /** The memory that is left for native code. */
  def native: Long = math.max(0L, memory - heap)
}

private[firesteel] object Machine {

  /** Returns the memory of this JVM's machine. */
  def here: Machine = {
    val heap = Runtime.getRuntime.maxMemory
    ManagementFactory.getOperatingSystemMXBean match {
      case system: OperatingSystemMXBean => Machine(system.getTotalMemorySize, heap)
      case _ => Machine(Long.MaxValue, heap)
    }
  }
}
