package firesteel.fit

import firesteel.data.{ColumnResolver, LabelColumn, LabelKind}
import firesteel.network.OutputInspection
import org.apache.spark.ml.attribute.{Attribute, BinaryAttribute, NominalAttribute}
import org.apache.spark.sql.types.{StructField, StructType}

/** Compares the sizes of labels by their metadata with the outputs of a network. */
private[firesteel] object LabelSizes {

  /** Checks the labels of a network, in the order of its outputs, before any job.
    *
    * @throws java.lang.IllegalArgumentException
    *   naming the column, its size, the output and its size
    */
  def check(
      schema: StructType,
      outputs: Seq[OutputInspection],
      labels: Seq[LabelColumn]
  ): Unit =
    outputs.zip(labels).foreach { case (output, label) =>
      val field = ColumnResolver.field(schema, label.column)
      label.kind match {
        case LabelKind.Class(classes) =>
          declaredClasses(field).filter(_ > classes).foreach { declared =>
            refuse(
              s"the label column '${field.name}' has $declared classes by its metadata, but the network has $classes: " +
                s"its output '${output.name}' has ${valuesText(output.size)}; use Linear($declared), or labels " +
                s"from 0 to ${classes - 1}"
            )
          }
        case LabelKind.Values(size) =>
          ColumnResolver.declaredSize(schema, label.column).filter(_ != size).foreach { declared =>
            refuse(
              s"the label column '${field.name}' has ${valuesText(declared)} in each row by its metadata, but the network's " +
                s"output '${output.name}' has ${valuesText(size)}; use Linear($declared), or another label column"
            )
          }
      }
    }

  private def declaredClasses(label: StructField): Option[Int] =
    Attribute.fromStructField(label) match {
      case nominal: NominalAttribute => nominal.getNumValues
      case _: BinaryAttribute => Some(2)
      case _ => None
    }

  private def valuesText(values: Int): String = if (values == 1) "1 value" else s"$values values"

  private def refuse(problem: String): Nothing = throw new IllegalArgumentException(problem)
}
