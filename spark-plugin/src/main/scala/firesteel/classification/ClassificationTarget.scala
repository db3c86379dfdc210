package firesteel.classification

import firesteel.data.{LabelColumn, LabelKind}
import firesteel.train.{Inspection, OutputInspection, Target}
import org.apache.spark.ml.attribute.{Attribute, BinaryAttribute, NominalAttribute}
import org.apache.spark.sql.types.StructField
import org.json4s.JsonAST.{JObject, JString}

/** What a classifier learns from a label: its classes, and the loss. */
private[classification] object ClassificationTarget {
  private val CrossEntropy = "cross_entropy"
  private val Binary = "binary_cross_entropy_with_logits"

  /** The losses that fit classes; each is resolved without options. */
  val losses: Seq[String] =
    Seq(CrossEntropy, Binary, "nll_loss", "hinge", "kl_div", "mse_loss", "l1_loss")

  /** What the network learns from this label.
    *
    * @param loss
    *   the loss that the user chose, if he did
    * @throws java.lang.IllegalArgumentException
    *   when the network's output, the label's metadata and the loss do not fit together
    */
  def of(inspection: Inspection, label: StructField, loss: Option[String]): Target = {
    val output = onlyOutput(inspection)
    val size = output.shape.head
    val classes = classesOf(size)
    declaredClasses(label).filter(_ > classes).foreach { declared =>
      throw new IllegalArgumentException(
        s"the label column '${label.name}' has $declared classes by its metadata, but the network tells $classes " +
          s"apart: its output '${output.name}' has $size values"
      )
    }
    val chosen = loss.getOrElse {
      if (size == 1 || output.activation == OutputInspection.Sigmoid) Binary else CrossEntropy
    }
    Target(
      LabelColumn(label.name, LabelKind.Class(classes)),
      JObject("name" -> JString(chosen)),
      output,
      if (classes == 2) Seq("accuracy", "auc") else Seq("accuracy")
    )
  }

  /** The classes of a network with this many outputs: one logit tells two classes apart. */
  def classesOf(outputSize: Int): Int = math.max(2, outputSize)

  /** The names of a label's classes, where its metadata has them. */
  def names(label: StructField): Option[Seq[String]] = Attribute.fromStructField(label) match {
    case nominal: NominalAttribute => nominal.values.map(_.toSeq)
    case binary: BinaryAttribute => binary.values.map(_.toSeq)
    case _ => None
  }

  private def onlyOutput(inspection: Inspection): OutputInspection = inspection.outputs match {
    case Seq(output) if output.shape.size == 1 => output
    case Seq(output) =>
      throw new IllegalArgumentException(
        s"the network's output '${output.name}' has the shape ${output.shape.mkString("[", ", ", "]")}; a classifier " +
          "needs one value for each class, as from a Linear layer after Flatten"
      )
    case several =>
      throw new IllegalArgumentException(
        s"the network has ${several.size} outputs (${several.map(_.name).mkString(", ")}); a classifier needs one"
      )
  }

  private def declaredClasses(label: StructField): Option[Int] =
    Attribute.fromStructField(label) match {
      case nominal: NominalAttribute => nominal.getNumValues
      case _: BinaryAttribute => Some(2)
      case _ => None
    }
}
